"""Conversion of the engine's error responses to `LocalrunError`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from localrun.errors import (
    Cause,
    ContainerFileMissing,
    ContainerGone,
    EngineError,
    ImageError,
    LocalrunError,
    MountUnavailable,
)

# (pattern of the message, meaning, remedy) for a process that could not be created. A missing program
# is usually reported by docker-init instead: on stderr, with exit code 127.
_ENTRY = "correct ENTRYPOINT or CMD in the Dockerfile"
_NOT_STARTED = (
    (
        "unable to find user",
        "the image's USER does not exist in the image ({reason})",
        "correct USER in the Dockerfile",
    ),
    (
        "unable to (?:find group|get gid)",
        "the group in the image's USER does not exist in the image ({reason})",
        "create the group with `RUN groupadd`, use its number, or name only the user in USER",
    ),
    (
        "uids and gids must be in range",
        "the number in the image's USER is out of range ({reason})",
        "correct USER in the Dockerfile",
    ),
    (
        'to rootfs at "/run/podman-init',
        "the image has a file at /run, but Podman needs a folder there",
        "rename /run in the Dockerfile",
    ),
    (
        'to rootfs at "',
        "the image has a file at {program}, but the task needs a folder there",
        "set another input_folder or output_folder in the descriptor",
    ),
    (
        r"cannot mkdir|^(?:lstat|mkdir) \S+: not a directory"
        r"|workdir \S+ exists on container|/(?:merged|storage)/\S*: not a directory",
        "the image's WORKDIR is a file, or below one ({reason})",
        "correct WORKDIR in the Dockerfile",
    ),
    ("chdir to cwd", "cannot enter the image's WORKDIR ({reason})", "correct WORKDIR in the Dockerfile"),
    (
        "exec format error",
        "{program} is not an executable for this machine",
        "build the image for this machine, or install an emulator: `apt-get install qemu-user-static`",
    ),
    ("permission denied", "{program} is not executable", "add `RUN chmod +x {program}` to the Dockerfile"),
    ("executable file not found", "{program} is not in the image", _ENTRY),
    ("no such file or directory", "{program} is not in the image", _ENTRY),
    ("is a directory", "{program} is a folder", _ENTRY),
    ("not a directory", "{program} is below a file", _ENTRY),
    ("too many levels of symbolic links", "{program} is a link to itself", _ENTRY),
)
# Patterns are compiled when an error is explained: that takes longer than to import this module.
# a message with one of these is about the image's configuration, or from the runtime that starts the program
_START_SIGNS = (
    r"oci (?:runtime|permission)|unable to (?:find (?:user|group)|get gid)|uids and gids|cannot mkdir"
    r"|^(?:lstat|mkdir) \S+: not a dir|workdir \S+ exists on container|/(?:merged|storage)/\S*: not a dir"
)
MOST_QUOTED = 500  # characters of an answer in a message
_LESS_CPUS = "request at most as many CPUs as the engine has"
_SEE_LOG = "see the engine's log: `journalctl -u docker`"
_PROGRAM = r'(?:exec:? \\*|exec\w* (?:file|container process)[^`]*)["`]([^"`\\]+)'
_PLACE = r'rootfs at \\*"([^"\\]+)'
_NO_COMMAND = r"no command (?:specified|or entrypoint provided)"
_DISK_FULL = r"(?i)no space left on device|disk quota exceeded"
# containerd's image store unpacks a layer when the first container is created
_DAMAGED_IMAGE = r"wrong diff id calculated|failed to extract layer|apply layer error"
_NO_MOUNT = (
    r"(?i)bind source path does not exist|mounts denied|is not shared from the host"
    r"|error while creating mount source path"
)


def api_error(status: int, reason: str, action: str) -> LocalrunError:
    """Return the error for a response of 400 and above; `action` completes "cannot ..."."""
    facts: dict[str, Any] = {"status": status, "engine_said": reason}
    lower = reason.lower()
    full = disk_full_error(reason, action)
    if full is not None:
        return full
    if "no such container" in lower or "marked for removal" in lower:
        return container_gone(action, **facts)
    if "no such image" in lower or "unable to find image" in lower:
        return ImageError(
            f"cannot {action}: {reason}",
            remedy="load, build or pull the image first (`docker images` lists the engine's images)",
            cause=Cause.IMAGE_MISSING,
            **facts,
        )
    if re.search(_DAMAGED_IMAGE, reason):
        return ImageError(
            f"cannot {action}: the image is damaged: {reason[:MOST_QUOTED]}",
            remedy="remove it (`docker image rm`), and load, build or pull it again",
            cause=Cause.IMAGE_INVALID,
            **facts,
        )
    if re.search(_NO_MOUNT, reason):
        return MountUnavailable(
            f"cannot {action}: the engine cannot see a path of this machine: {reason}",
            remedy="use an engine on this machine",
            **facts,
        )
    return (
        _start_refusal(reason)
        or _resource_refusal(reason, action)
        or EngineError(
            f"cannot {action}: the engine answered {status}: {reason[:MOST_QUOTED]}",
            remedy=_SEE_LOG,
            **facts,
        )
    )


def copy_error(status: int, reason: str, action: str) -> LocalrunError:
    """Return the error for a refused copy of a file from a container.

    Docker answers 404 if there is no such file, and 500 if its path goes through another file.
    """
    error = api_error(status, reason, action)
    if isinstance(error, ContainerGone) or not (status == 404 or "not a directory" in reason):
        return error
    return ContainerFileMissing(f"cannot {action}: there is no such file", status=status, engine_said=reason)


def container_gone(action: str, **facts: Any) -> ContainerGone:
    """Return the error for a container that the engine does not have."""
    return ContainerGone(
        f"cannot {action}: the container no longer exists",
        remedy="run the task again; its container was removed",
        **facts,
    )


def too_many_cpus(requested: float, available: int) -> EngineError:
    """Return the error for a CPU limit above what the engine has."""
    return EngineError(
        f"cannot create the container: {requested:g} CPUs were requested, but the engine has {available}",
        remedy=_LESS_CPUS,
        cause=Cause.CPU_UNAVAILABLE,
    )


def no_command(**facts: Any) -> EngineError:
    """Return the error for an image without a program."""
    return EngineError(
        "the image has neither ENTRYPOINT nor CMD",
        remedy="add ENTRYPOINT to the Dockerfile",
        cause=Cause.ENTRYPOINT_INVALID,
        **facts,
    )


class NameTaken(EngineError):
    """Another container has the name of the one to create."""


class NotRunning(EngineError):
    """The container to stop is not running."""


def invalid_answer(action: str, reason: object) -> EngineError:
    """Return the error for an answer that is not what the engine's API documents."""
    return EngineError(
        f"cannot {action}: invalid answer of the engine: {str(reason)[:MOST_QUOTED]}",
        remedy="check that DOCKER_HOST is the address of an engine: `docker version`",
    )


@contextmanager
def reading(action: str) -> Iterator[None]:
    """Convert an exception of code that reads an answer into `invalid_answer`."""
    try:
        yield
    except KeyError as error:
        raise invalid_answer(action, f"it has no {error}") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise invalid_answer(action, error) from error


def disk_full_error(reason: str, action: str) -> EngineError | None:
    """Return the error if the engine's message reports a full disk."""
    if not re.search(_DISK_FULL, reason):
        return None
    return EngineError(
        f"cannot {action}: the engine's disk is full: {reason}",
        remedy="free disk space: `docker system df` shows usage, `docker system prune` removes unused data",
        cause=Cause.DISK_FULL,
        engine_said=reason,
    )


def _resource_refusal(reason: str, action: str) -> EngineError | None:
    lower = reason.lower()
    if "range of cpus" in lower:
        cause, remedy = Cause.CPU_UNAVAILABLE, _LESS_CPUS
    elif "could not select device driver" in lower or "nvidia-container-cli" in lower:
        cause, remedy = Cause.GPU_UNAVAILABLE, "install the engine's GPU support, or request no GPUs"
    elif "minimum memory limit" in lower:
        cause, remedy = Cause.MEMORY_UNAVAILABLE, "request more memory; the engine has a minimum"
    elif "container-init binary not found" in lower:
        cause, remedy = Cause.ENGINE_FAILED, "install catatonit, the init process of Podman's containers"
    elif "container state improper" in lower:
        return NotRunning(f"cannot {action}: {reason}", remedy=_SEE_LOG, engine_said=reason)
    elif "is already in use by" in lower:
        remedy = "choose another name, or remove the container with this name"
        return NameTaken(f"cannot {action}: {reason}", remedy=remedy, engine_said=reason)
    else:
        return None
    return EngineError(f"cannot {action}: {reason}", remedy=remedy, cause=cause, engine_said=reason)


def _start_refusal(reason: str) -> EngineError | None:
    lower = reason.lower()
    if re.search(_NO_COMMAND, lower):
        return no_command(engine_said=reason)
    if not re.search(_START_SIGNS, lower):
        return None
    # what Podman adds: any error of this kind, not the program's
    lower = lower.removesuffix(": oci permission denied")
    found = next((row for row in _NOT_STARTED if re.search(row[0], lower)), None)
    if found is None:
        return None
    sign, message, remedy = found
    named = re.search(_PROGRAM, reason) or re.search(_PLACE, reason)
    program = named[1] if named else "its program"
    return EngineError(
        f"cannot start the container: {message.format(program=program, reason=reason)}",
        remedy=remedy.format(program=program),
        cause=Cause.IMAGE_PLATFORM if sign == "exec format error" else Cause.ENTRYPOINT_INVALID,
        program=program,
        engine_said=reason,
    )
