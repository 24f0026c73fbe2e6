"""What the engine says when it refuses, in our words: the one door inward for its errors."""

from __future__ import annotations

import re
from typing import Any

from localrun.errors import (
    Cause,
    ContainerGone,
    EngineError,
    ImageError,
    LocalrunError,
    MountUnavailable,
)

# With docker-init before it, a program that is not there is told on stderr with exit code 127, not here;
# these are the words of an engine that could not even make the process.
_ENTRY = "correct ENTRYPOINT or CMD in the Dockerfile"
_NOT_STARTED = (
    (
        "unable to find user",
        "the image's USER is not known in it ({words})",
        "correct USER in the Dockerfile",
    ),
    ("cannot mkdir", "the image's WORKDIR is a file ({words})", "correct WORKDIR in the Dockerfile"),
    ("chdir to cwd", "the image's WORKDIR cannot be entered ({words})", "correct WORKDIR in the Dockerfile"),
    (
        "mount a directory onto a file",
        "the image has a file at {program}, where a folder of the task belongs",
        "name another input_folder or output_folder in the descriptor",
    ),
    ("exec format error", "{program} is no program for this machine", "build the image for this machine"),
    ("permission denied", "{program} is not executable", "add `RUN chmod +x {program}` to the Dockerfile"),
    ("executable file not found", "{program} is not in the image", _ENTRY),
    ("no such file or directory", "{program} is not in the image", _ENTRY),
    ("is a directory", "{program} is a folder", _ENTRY),
)
_NO_PROGRAM = "no command specified"
_LOOK = "the engine's own log says more: `journalctl -u docker`"
_PROGRAM = re.compile(r'exec:? \\*"([^"\\]+)')
_PLACE = re.compile(r'rootfs at \\*"([^"\\]+)')
_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_NO_MOUNT = re.compile(
    r"bind source path does not exist|mounts denied|is not shared from the host"
    r"|error while creating mount source path",
    re.IGNORECASE,
)


def api_error(status: int, words: str, doing: str) -> LocalrunError:
    """The error for an answer of 400 and above. `doing` says which call it was, for people."""
    facts: dict[str, Any] = {"status": status, "engine_said": words}
    lower = words.lower()
    if _DISK_FULL.search(words):
        return disk_full_error(words, doing)
    if "no such container" in lower or "marked for removal" in lower:
        return ContainerGone(
            f"{doing}: the engine does not know the container (any more)",
            remedy="run the task again; somebody has removed its container",
            **facts,
        )
    if "no such image" in lower or "unable to find image" in lower:
        return ImageError(
            f"{doing}: {words}",
            remedy="load, build or pull the image first (`docker images` lists what is there)",
            cause=Cause.IMAGE_MISSING,
            **facts,
        )
    if _NO_MOUNT.search(words):
        return MountUnavailable(
            f"{doing}: the engine does not see a path of this machine: {words}",
            remedy="use an engine of this machine, or let the files travel as archives",
            **facts,
        )
    return (
        _start_refusal(words)
        or _resource_refusal(words, doing)
        or EngineError(f"{doing}: the engine answered {status}: {words}", remedy=_LOOK, **facts)
    )


def disk_full_error(words: str, doing: str) -> EngineError:
    """The engine's disk is full."""
    return EngineError(
        f"{doing}: the engine's disk is full: {words}",
        remedy="make room: `docker system df` shows what uses it, `docker system prune` removes the unused",
        cause=Cause.DISK_FULL,
        engine_said=words,
    )


def is_disk_full(words: str) -> bool:
    """Whether these words of the engine tell of a full disk."""
    return bool(_DISK_FULL.search(words))


def _resource_refusal(words: str, doing: str) -> EngineError | None:
    lower = words.lower()
    if "range of cpus" in lower:
        cause, remedy = Cause.CPU_UNAVAILABLE, "ask for no more cpus than the engine has"
    elif "could not select device driver" in lower or "nvidia-container-cli" in lower:
        cause, remedy = Cause.GPU_UNAVAILABLE, "install the engine's GPU support, or ask for no gpus"
    elif "minimum memory limit" in lower:
        cause, remedy = Cause.MEMORY_UNAVAILABLE, "ask for more memory: the engine has a least amount"
    elif "is already in use by container" in lower:
        cause, remedy = Cause.ENGINE_FAILED, "choose another name, or remove the container of that name"
    else:
        return None
    return EngineError(f"{doing}: {words}", remedy=remedy, cause=cause, engine_said=words)


def _start_refusal(words: str) -> EngineError | None:
    lower = words.lower()
    if _NO_PROGRAM in lower:
        return EngineError(
            "the image has neither ENTRYPOINT nor CMD, so there is nothing to start",
            remedy="add ENTRYPOINT to the Dockerfile",
            cause=Cause.ENTRYPOINT_INVALID,
            engine_said=words,
        )
    if not any(sign in lower for sign in ("oci runtime", "unable to find user", "cannot mkdir")):
        return None
    found = next((row for row in _NOT_STARTED if row[0] in lower), None)
    return _not_started(*found, words) if found else None


def _not_started(sign: str, message: str, remedy: str, words: str) -> EngineError:
    found = _PROGRAM.search(words) or _PLACE.search(words)
    program = found[1] if found else "its program"
    return EngineError(
        f"the container could not be started: {message.format(program=program, words=words)}",
        remedy=remedy.format(program=program),
        cause=Cause.IMAGE_PLATFORM if sign == "exec format error" else Cause.ENTRYPOINT_INVALID,
        program=program,
        engine_said=words,
    )
