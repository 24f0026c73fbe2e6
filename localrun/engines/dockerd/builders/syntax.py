"""`# syntax=IMAGE`: the frontend that BuildKit pulls from a registry to read a Dockerfile."""

from __future__ import annotations

import re
from collections.abc import Callable

from localrun.engines.dockerd.api import quote_segment, read_message
from localrun.engines.dockerd.builders.dockerfiles import PreparedDockerfile, familiar
from localrun.engines.dockerd.builders.failed_build import NO_IMAGE, newer_docker
from localrun.engines.dockerd.images import DockerImages
from localrun.errors import Cause, EngineError, ImageError

_OFFICIAL = re.compile(r"docker/dockerfile(?:-upstream)?(?::[\w.-]+)?(?:@\S+)?")


def resolve_syntax(
    prepared: PreparedDockerfile, images: DockerImages, docker: str, warn: Callable[[str], None]
) -> PreparedDockerfile:
    """Return the Dockerfile without its `# syntax=` line if the frontend is out of reach and not needed.

    The engine is asked whether it has the frontend or reaches its registry. Raises `ImageError` if the
    Dockerfile needs a frontend that is out of reach. `docker` is the engine's version.
    """
    if prepared.parsed.syntax is None:
        return prepared
    line, written = prepared.parsed.syntax
    frontend = written.split()[0]
    reason = _why_out_of_reach(frontend, images)
    if not reason:
        return prepared
    place = f"{prepared.name}:{line}: `# syntax={frontend}`"
    newer = newer_docker(prepared, docker)
    if newer or not _OFFICIAL.fullmatch(familiar(frontend)):
        without = newer or "remove the line if the Dockerfile does not need it"
        raise ImageError(
            f"{place} needs an image that the engine does not have and cannot pull: {reason}",
            remedy=f"go online, or import it with `docker load -i FILE`; without it: {without}",
            cause=Cause.IMAGE_BUILD_FAILED,
            reference=frontend,
        )
    warn(f"{place} is ignored because no registry can be reached; the engine's own frontend builds the image")
    return prepared.without_line(line)


def _why_out_of_reach(frontend: str, images: DockerImages) -> str:
    """Return why the engine cannot get an image; empty if it has it, or if the build will show."""
    try:
        if images.find_image(frontend) is not None:
            return ""
    except ImageError:  # not a valid name: the build reports it
        return ""
    try:
        response = images.api.send("GET", f"/distribution/{quote_segment(familiar(frontend))}/json")
        reason = read_message(response)
    except EngineError as error:
        reason = error.message
    else:
        if response.status < 400:
            return ""
    return reason if NO_IMAGE.search(reason) and "denied" not in reason else ""
