"""The error of a failed build: the step, its last output, and what to do about it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from localrun.engines.base import BuildRequest
from localrun.engines.dockerd import failures
from localrun.engines.dockerd.builders.clients import CLASSIC, BuildClient
from localrun.engines.dockerd.builders.dockerfiles import PreparedDockerfile, familiar
from localrun.engines.dockerd.builders.features import Version, differences, unsupported, uses
from localrun.engines.dockerd.builders.missing_file import missing_file_remedy
from localrun.engines.log_remedies import build_remedy
from localrun.errors import Cause, ImageError, LocalrunError

_ONLY_BUILDKIT = re.compile(
    r"requires buildkit|unknown flag: |unknown instruction: |missing ':' in substitution"
    r"|platform specifier component|dockerfile parse error|failed to process",
    re.IGNORECASE,
)
NO_IMAGE = re.compile(
    r"pull access denied|manifest for|manifest unknown|repository does not exist|dial tcp|no such host"
    r"|no such image|lookup |failed to resolve source metadata|i/o timeout|connection refused"
    r"|failed to do request|server misbehaving|network is unreachable",
    re.IGNORECASE,
)
_EXIT_CODE = re.compile(r"(?:exit code|returned a non-zero code|exit status)[: ]+(?P<code>\d{1,9})")
_NO_TARGET = re.compile(r"target stage \"?\S+ could not be found|failed to reach build target")
_SECRET = re.compile(r"secret (?P<id>\S+?):? not found")
# BuildKit's name for the lookup of an image
_IMAGE_STEP = re.compile(r"(?:\[internal\] load metadata for|resolve image config for|FROM) (?P<name>\S+)")
_PARSE_LINE = re.compile(r"parse error (?:on )?line (?P<line>\d{1,9})")


class BuilderFailure(msgspec.Struct, frozen=True):
    """What a builder reported: its error, the failed instruction, and the last lines of its output.

    `docker` is the engine's version, empty if it is not Docker's.
    """

    reason: str
    step: str = ""
    lines: tuple[str, ...] = ()
    client: BuildClient = CLASSIC
    docker: str = ""

    @property
    def concerns_image(self) -> bool:
        """Whether an image could not be found or pulled."""
        is_from = not self.step or self.step.upper().startswith("FROM ")
        return is_from and bool(NO_IMAGE.search(self.reason))


def build_error(
    request: BuildRequest, prepared: PreparedDockerfile, failure: BuilderFailure
) -> LocalrunError:
    """Return the error of a build with the cause IMAGE_BUILD_FAILED, or DISK_FULL."""
    full = failures.disk_full_error(failure.reason, "build the image")
    if full is not None:
        return full
    step, line = _place(prepared, failure)
    place = f"{prepared.name}:{line}" if line else prepared.name
    location = f"`{step}` ({place})" if step and line else step and f"`{step}`"
    log = "".join(f"\n    {text}" for text in failure.lines)
    code = _EXIT_CODE.search(failure.reason)
    facts: dict[str, Any] = {"exit_code": int(code["code"])} if code else {}
    return ImageError(
        f"the build failed at {location or place}: {failure.reason}{log}",
        remedy=_remedy(request, prepared, msgspec.structs.replace(failure, step=step), line),
        cause=Cause.IMAGE_BUILD_FAILED,
        instruction=step,
        engine_said=failure.reason,
        **facts,
    )


def version_of(docker: str) -> Version | None:
    """Return the first two numbers of a version of Docker; None if it has none."""
    numbers = re.match(r"(\d{1,9})\.(\d{1,9})", docker)
    return (int(numbers[1]), int(numbers[2])) if numbers else None


def newer_docker(prepared: PreparedDockerfile, docker: str) -> str:
    """Return the remedy for features that this version of Docker lacks; empty if it has them all."""
    version = version_of(docker)
    missing = unsupported(prepared.parsed, version) if version else []
    if not missing:
        return ""
    newest = max(use.feature.docker for use in missing)
    named = ", ".join(dict.fromkeys(f"{use.feature.name} (line {use.line})" for use in missing))
    return f"{named}: use Docker {newest[0]}.{newest[1]} or newer (this is {docker})"


def _place(prepared: PreparedDockerfile, failure: BuilderFailure) -> tuple[str, int]:
    """Return the failed instruction as it is written, and its line; empty and 0 if unknown."""
    image = _IMAGE_STEP.fullmatch(failure.step)
    found = prepared.instruction_with(image["name"]) if image else None
    if found:
        return found.source, found.line
    return failure.step, prepared.parsed.line_of(failure.step) if failure.step else _line(failure.reason)


def _line(reason: str) -> int:
    found = _PARSE_LINE.search(reason)
    return int(found["line"]) if found else 0


def _remedy(request: BuildRequest, prepared: PreparedDockerfile, failure: BuilderFailure, line: int) -> str:
    if failure.concerns_image:
        return _image_remedy(request, prepared, failure)
    if reported := _SECRET.search(failure.reason):
        return _pass_secret(reported["id"].strip('"'))
    if _NO_TARGET.search(failure.reason):
        stages = ", ".join(stage.label() for stage in prepared.parsed.stages)
        return f"correct --target; the stages are: {stages}"
    log = "\n".join([*failure.lines, failure.reason])
    return (
        _builder_remedy(request, prepared, failure, line)
        or missing_file_remedy(request, failure.reason)
        or build_remedy(failure.step, log)
        or _secret_remedy(request, prepared, line)
        or f"correct {request.dockerfile_path}"
    )


def _secret_remedy(request: BuildRequest, prepared: PreparedDockerfile, line: int) -> str:
    """Return the remedy if the failed instruction mounts a secret that was not passed."""
    passed = {secret.id for secret in request.secrets}
    mounted = [name for each in prepared.parsed.instructions if each.line == line for name in each.secrets]
    return next((_pass_secret(name) for name in mounted if name not in passed), "")


def _pass_secret(name: str) -> str:
    return f"pass the secret: `--build-secret id={name},src=FILE`"


def _builder_remedy(
    request: BuildRequest, prepared: PreparedDockerfile, failure: BuilderFailure, line: int
) -> str:
    """Return the remedy if another builder, or a newer one, builds the Dockerfile."""
    is_classic = failure.client.kind == "classic"
    if is_classic and _differs(request, prepared, line):
        return f"BuildKit builds this differently: {failure.client.remedy}"
    if not _ONLY_BUILDKIT.search(failure.reason):
        return ""
    newer = newer_docker(prepared, failure.docker)
    if is_classic and any(use.feature.fails for use in uses(prepared.parsed)):
        return "; ".join(filter(None, (f"the Dockerfile needs BuildKit: {failure.client.remedy}", newer)))
    syntax = "or start the Dockerfile with `# syntax=docker/dockerfile:1`, which needs a registry"
    return f"{newer}, {syntax}" if newer else ""


def _differs(request: BuildRequest, prepared: PreparedDockerfile, line: int) -> bool:
    """Return whether a failed line is one that only the classic builder runs, or runs with other values."""
    used = differences(prepared.parsed, target=request.target, given=set(request.build_args))
    lines = {use.line for use in used if not use.feature.fails}
    stage = next((each for each in reversed(prepared.parsed.stages) if each.line <= line), None)
    return line in lines or (stage is not None and stage not in prepared.parsed.needed_stages(request.target))


def _image_remedy(request: BuildRequest, prepared: PreparedDockerfile, failure: BuilderFailure) -> str:
    images = prepared.images(request.target)
    text = f"{failure.step} {failure.reason}"
    found = next(
        (name for name in images if _mentions(text, name)), images[0] if len(images) == 1 else "NAME"
    )
    argument = prepared.argument_of(found)
    argument = argument and f" or `--build-arg {argument}=LOCAL`"
    return (
        f"the image {found} is missing and cannot be pulled: go online, use a local image"
        f" (`--build-context {found}=docker-image://LOCAL`{argument}), or import it with"
        f" `docker load -i FILE` or `docker import FILE {found}`"
    )


def _mentions(text: str, image: str) -> bool:
    # a builder names it in full, with its registry, or by repository and tag apart
    repository, _, tag = familiar(image).partition(":")
    return repository in text and (tag in text or tag == "latest")
