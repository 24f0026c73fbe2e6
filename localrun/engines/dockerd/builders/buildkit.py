"""Builds with BuildKit through a client (`docker buildx`, or a docker command with BuildKit inside)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from localrun import fs
from localrun.engines.base import BuildRequest, EngineImage, Progress, Warn
from localrun.engines.context.files import BuildContext
from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.builders.client_config import ClientConfig
from localrun.engines.dockerd.builders.clients import BuildClient
from localrun.engines.dockerd.builders.dockerfiles import PreparedDockerfile
from localrun.engines.dockerd.builders.failed_build import BuilderFailure, build_error
from localrun.engines.dockerd.builders.plain_output import PlainOutput
from localrun.engines.dockerd.builders.process import Processes
from localrun.engines.dockerd.images import DockerImages
from localrun.errors import Cause, EngineError, EngineUnreachable, ImageError, LocalrunError

NO_CREDENTIALS = "error getting credentials"  # of a credential helper, in the error of a build
TEMPORARY = "localrun-build"  # the folder of a build in the folder for temporary files, see `fs.temp_path`


class BuildKitBuild:
    """Builds folders on one engine."""

    def __init__(
        self, images: DockerImages, address: Address, client: BuildClient, processes: Processes
    ) -> None:
        self._images = images
        self._address = address
        self._client = client
        self._processes = processes

    def run(
        self, request: BuildRequest, progress: Progress, prepared: PreparedDockerfile, docker: str, warn: Warn
    ) -> EngineImage:
        """Build, and return the image. `docker` is the engine's version."""
        before = self._images.find_image(request.name)
        with self._dockerfile(request, prepared.text) as (dockerfile, folder):
            client = ClientConfig(self._images.config, folder)
            self._images.report_new_problems(client.file, warn)
            output = self._build(client, request, dockerfile, progress)
            if output is not None and NO_CREDENTIALS in output.reason and client.has_helpers:
                warn(f"built without the credential helpers of {client.file.path}: {output.reason}")
                client.remove_helpers()
                output = self._build(client, request, dockerfile, progress)
        if output is not None:
            raise self._failure(output, request, prepared, docker)
        made = self._images.require_image(request.name)
        if before is not None and before.id != made.id:
            self._images.remove_untagged(before.id)
        return made

    def _build(
        self, client: ClientConfig, request: BuildRequest, dockerfile: Path, progress: Progress
    ) -> PlainOutput | None:
        command = self._client.command(self._address, client.folder, client.variables)
        return self._run([*command, *_options(request, dockerfile)], progress)

    def _run(self, command: list[str], progress: Progress) -> PlainOutput | None:
        """Run the client; return its output if it failed."""
        output = PlainOutput(progress)
        try:
            with self._processes.start(command) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    output.feed(line.rstrip("\n"))
                code = process.wait()
                if self._processes.was_abandoned():
                    raise EngineError("the build was aborted", remedy="run it again")
        except OSError as error:
            raise EngineError(
                f"cannot start {self._client.path}: {error.strerror}",
                remedy="install it again, or set LOCALRUN_BUILDER=classic",
            ) from error
        return output if code else None

    def _failure(
        self, output: PlainOutput, request: BuildRequest, prepared: PreparedDockerfile, docker: str
    ) -> LocalrunError:
        reason, failed = output.reason, output.failed
        if "annot connect to the Docker daemon" in reason:
            return EngineUnreachable(
                f"the build cannot reach the engine: {reason}", remedy="start the engine, and try again"
            )
        step = (failed.instruction or failed.name) if failed else ""
        lines = tuple(failed.lines) if failed else ()
        return build_error(request, prepared, BuilderFailure(reason, step, lines, self._client, docker))

    @contextmanager
    def _dockerfile(self, request: BuildRequest, text: str) -> Iterator[tuple[Path, Path]]:
        """Write the Dockerfile and its ignore file to a temporary folder; yield the file and the folder.

        So files that a build does not need stay out of the context without a change in the user's folder.
        """
        lines = BuildContext(request.folder, request.dockerfile).ignore_lines()
        with fs.temp_file(_temporary_folder() / TEMPORARY) as folder:
            path = folder / "file" / request.dockerfile_path.name
            try:
                folder.mkdir(mode=0o700)
                _write_dockerfile(path, text, lines)
            except OSError as error:
                raise _temporary_error(folder.parent, error) from error
            yield path, folder


def _write_dockerfile(path: Path, text: str, ignored: Iterable[str]) -> None:
    path.parent.mkdir()
    path.write_text(text, "utf-8", "surrogateescape")
    ignores = path.with_name(f"{path.name}.dockerignore")
    ignores.write_text("".join(f"{line}\n" for line in ignored), "utf-8", "surrogateescape")


def _temporary_folder() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:  # none of the folders can be written to
        raise _temporary_error("temporary files", error) from error


def _temporary_error(folder: Path | str, error: OSError) -> LocalrunError:
    """Return the error for a file that cannot be written to the folder for temporary files."""
    return ImageError(
        f"cannot write to the disk of {folder}: {error.strerror}",
        remedy="free disk space, or set TMPDIR to a folder on another disk",
        cause=Cause.DISK_FULL if fs.is_disk_full(error) else Cause.IMAGE_BUILD_FAILED,
        path=str(folder),
    )


def _options(request: BuildRequest, dockerfile: Path) -> list[str]:
    options = ["--progress=plain", "--tag", request.name, "--file", str(dockerfile)]
    for name, value in request.labels.items():
        options += ["--label", f"{name}={value}"]
    for name, value in request.build_args.items():
        options += ["--build-arg", f"{name}={value}"]
    if request.target:
        options += ["--target", request.target]
    if request.platform:
        options += ["--platform", request.platform]
    for secret in request.secrets:
        source = f"env={secret.variable}" if secret.file is None else f"src={secret.file.absolute()}"
        options += ["--secret", f"{_csv(f'id={secret.id}')},{_csv(source)}"]
    return [*options, "--", str(request.folder)]


def _csv(value: str) -> str:
    quoted = value.replace('"', '""')
    return f'"{quoted}"' if any(character in value for character in ',"\n') else value
