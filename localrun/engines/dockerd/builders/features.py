"""What of a Dockerfile depends on the builder: the classic builder lacks it, or it needs a newer Docker."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from localrun.engines.dockerfile import Dockerfile, Instruction

Version = tuple[int, int]


class Feature(msgspec.Struct, frozen=True):
    """A feature of Dockerfiles.

    `docker` is the first Docker whose BuildKit supports it without a `# syntax=` line. `classic` is what the
    classic builder does instead; `fails` whether the build fails there.
    """

    name: str
    classic: str
    docker: Version = (18, 9)
    fails: bool = True


class Use(msgspec.Struct, frozen=True):
    """A feature that a line of a Dockerfile uses."""

    line: int
    feature: Feature


_FAILS = "the classic builder does not support it"
_MOUNT = Feature("RUN --mount", _FAILS)
_SECRET_ENV = Feature("RUN --mount=type=secret,env=", _FAILS, (27, 3))
_HEREDOC = Feature("a here-document", "the classic builder reads its lines as instructions", (23, 0))
_SUBSTITUTION = Feature("${NAME#PATTERN} and the like", _FAILS, (26, 0))
_GIT = Feature("ADD of a Git repository", "the classic builder downloads the address as a file", (25, 0))
_PLATFORM = Feature("FROM --platform with a variable", "the classic builder does not set the variable")
_FIXED_PLATFORM = Feature(
    "FROM --platform", "the classic builder does not check the platform of a local image", fails=False
)
_FLAGS = {
    ("RUN", "network"): Feature("RUN --network", _FAILS, (23, 0)),
    ("RUN", "security"): Feature("RUN --security", _FAILS),
    ("RUN", "device"): Feature("RUN --device", _FAILS),
    ("COPY", "link"): Feature("COPY --link", _FAILS, (23, 0)),
    ("COPY", "chmod"): Feature("COPY --chmod", _FAILS, (20, 10)),
    ("COPY", "parents"): Feature("COPY --parents", _FAILS, (29, 1)),
    ("COPY", "exclude"): Feature("COPY --exclude", _FAILS, (29, 0)),
    ("ADD", "link"): Feature("ADD --link", _FAILS, (23, 0)),
    ("ADD", "chmod"): Feature("ADD --chmod", _FAILS, (20, 10)),
    ("ADD", "checksum"): Feature("ADD --checksum", _FAILS, (25, 0)),
    ("ADD", "keep-git-dir"): Feature("ADD --keep-git-dir", _FAILS, (25, 0)),
    ("ADD", "exclude"): Feature("ADD --exclude", _FAILS, (29, 0)),
    ("ADD", "unpack"): Feature("ADD --unpack", _FAILS, (28, 3)),
    ("HEALTHCHECK", "start-interval"): Feature("HEALTHCHECK --start-interval", _FAILS, (25, 0)),
}
_AUTOMATIC = re.compile(r"(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT)")
_VARIABLE = re.compile(r"(?<!\\)\$\{?(\w+)")
_SUBSTITUTED = re.compile(r"(?<!\\)\$\{\w+(?:#|%|/)")
_GIT_SOURCE = re.compile(r"(?:git@|git://|ssh://git@|https?://\S+\.git(?:[#?]|$))")
_EXPANDED = frozenset(
    ("ADD", "ARG", "COPY", "ENV", "EXPOSE", "FROM", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR")
)


def uses(dockerfile: Dockerfile) -> list[Use]:
    """Return the features of instructions, in the order of their lines."""
    found: list[Use] = []
    for instruction in dockerfile.instructions:
        each = instruction.trigger or instruction
        found += [Use(instruction.line, feature) for feature in _features(each)]
    return found


def classic_warnings(dockerfile: Dockerfile, name: str, *, target: str, given: set[str]) -> tuple[str, ...]:
    """Return what the classic builder ignores or does differently in a Dockerfile called `name`.

    `given` are the names of the build arguments.
    """
    found = [*uses(dockerfile), *differences(dockerfile, target=target, given=given)]
    lines: dict[Feature, list[int]] = {}
    for use in sorted(found, key=lambda each: each.line):
        lines.setdefault(use.feature, []).append(use.line)
    return tuple(
        f"{name}:{','.join(map(str, dict.fromkeys(numbers)))}: {feature.name}: {feature.classic}"
        for feature, numbers in lines.items()
    )


def differences(dockerfile: Dockerfile, *, target: str, given: set[str]) -> list[Use]:
    """Return what depends on the whole Dockerfile, such as unused stages and the automatic arguments."""
    return [
        *_directive_uses(dockerfile),
        *_stage_uses(dockerfile, target),
        *_automatic_uses(dockerfile, given),
    ]


def unsupported(dockerfile: Dockerfile, version: Version) -> list[Use]:
    """Return the features that need a newer Docker than `version`."""
    return [use for use in uses(dockerfile) if use.feature.docker > version]


def _features(instruction: Instruction) -> Iterator[Feature]:
    if instruction.heredocs:
        yield _HEREDOC
    for flag, value in instruction.flags:
        if (instruction.name, flag) == ("RUN", "mount"):
            keys = {part.partition("=")[0] for part in value.split(",")}
            yield _SECRET_ENV if {"env"} & keys else _MOUNT
        elif feature := _FLAGS.get((instruction.name, flag)):
            yield feature
    platform = instruction.flag("platform")
    if instruction.name == "FROM" and platform:
        yield _PLATFORM if "$" in platform else _FIXED_PLATFORM
    if instruction.name in _EXPANDED and _SUBSTITUTED.search(instruction.text):
        yield _SUBSTITUTION
    if instruction.name == "ADD" and any(map(_GIT_SOURCE.match, instruction.text.split()[:-1])):
        yield _GIT


def _directive_uses(dockerfile: Dockerfile) -> Iterator[Use]:
    for name, (line, _) in dockerfile.directives.items():
        if name in ("syntax", "check"):
            yield Use(line, Feature(f"# {name}", "the classic builder ignores it", fails=False))


def _stage_uses(dockerfile: Dockerfile, target: str) -> Iterator[Use]:
    needed = dockerfile.needed_stages(target)
    indexes = {stage.index for stage in needed}
    last = needed[-1].index if needed else -1
    for stage in dockerfile.stages[: last + 1]:
        if stage.index not in indexes:
            text = "the classic builder builds it although it is not used"
            yield Use(stage.line, Feature(f"the stage {stage.label()}", text, fails=False))
    for stage in needed:
        yield from _volume_uses(stage.instructions)
        yield from _user_uses(stage.instructions)


def _volume_uses(instructions: tuple[Instruction, ...]) -> Iterator[Use]:
    """Yield the first RUN after a VOLUME: what it writes there is lost."""
    volumes = [each for each in instructions if each.name == "VOLUME"]
    later = [each for each in instructions if each.name == "RUN" and volumes and each.line > volumes[0].line]
    if later:
        text = "the classic builder discards what it writes to the volume"
        yield Use(later[0].line, Feature("RUN after VOLUME", text, fails=False))


def _user_uses(instructions: tuple[Instruction, ...]) -> Iterator[Use]:
    """Yield each WORKDIR whose folder BuildKit creates for another user than root."""
    user = ""
    for each in instructions:
        if each.name == "USER":
            user = each.text
        elif each.name == "WORKDIR" and user not in ("", "0", "root", "0:0", "root:root"):
            text = f"the classic builder creates the folder for root, not for {user}"
            yield Use(each.line, Feature("WORKDIR after USER", text, fails=False))


def _automatic_uses(dockerfile: Dockerfile, given: set[str]) -> Iterator[Use]:
    """Yield the platform arguments that BuildKit sets, where they are declared without a default or used."""
    for instruction in dockerfile.instructions:
        names: Callable[[str], list[str]] = _VARIABLE.findall
        flags = () if instruction.name == "FROM" else instruction.flags  # FROM --platform has its own warning
        found = names(instruction.text + " ".join(value for _, value in flags))
        if instruction.name == "ARG":
            found += [word for word in instruction.text.split() if "=" not in word]
        for name in dict.fromkeys(found):
            if _AUTOMATIC.fullmatch(name) and name not in given:
                yield Use(instruction.line, Feature(name, "the classic builder leaves it empty", fails=False))
