from __future__ import annotations

import pytest

from localrun.engines.dockerd.failures import api_error
from localrun.errors import ContainerGone, ImageError, MountUnavailable

OCI = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container"


@pytest.mark.parametrize(
    ("words", "cause", "told"),
    [
        (
            f'{OCI} process: exec: "/no": stat /no: no such file or directory',
            "ENTRYPOINT_INVALID",
            "/no is",
        ),
        (
            f'{OCI} process: exec: "go": executable file not found in $PAT',
            "ENTRYPOINT_INVALID",
            "go is not in",
        ),
        (f'{OCI} process: exec: "/x": permission denied: unknown', "ENTRYPOINT_INVALID", "not executable"),
        (
            f"{OCI} process: exec /x: exec format error",
            "IMAGE_PLATFORM",
            "not an executable for this machine",
        ),
        (f'{OCI} process: exec: "/etc": is a directory', "ENTRYPOINT_INVALID", "/etc is a folder"),
        ("unable to find user me: no matching entries in passwd file", "ENTRYPOINT_INVALID", "USER"),
        (f'{OCI} process: chdir to cwd ("/x") failed: permission denied', "ENTRYPOINT_INVALID", "WORKDIR"),
        (
            f'{OCI} process: error mounting "/home/me/inputs" to rootfs at "/bin/in": mount: not a directory:'
            " unknown: Are you trying to mount a directory onto a file (or vice-versa)?",
            "ENTRYPOINT_INVALID",
            "the image has a file at /bin/in, but",
        ),
        ("unable to find group nogrp: no matching entries in group file", "ENTRYPOINT_INVALID", "group in"),
        ("uids and gids must be in range 0-2147483647", "ENTRYPOINT_INVALID", "out of range"),
        (
            f'{OCI} process: exec: "/l": stat /l: too many levels of symbolic links',
            "ENTRYPOINT_INVALID",
            "/l is",
        ),
        (
            f'{OCI} process: exec: "/data/x": stat /data/x: not a directory: unknown: Are you trying to mount'
            " a directory onto a file (or vice-versa)?",
            "ENTRYPOINT_INVALID",
            "/data/x is below a file",
        ),
        ("No command specified", "ENTRYPOINT_INVALID", "neither ENTRYPOINT nor CMD"),
        (f"{OCI}: something else", "ENGINE_FAILED", "something else"),
    ],
)
def test_a_failed_start_is_explained(words: str, cause: str, told: str) -> None:
    error = api_error(400, words, "start the container")
    assert str(error.cause) == cause
    assert told in error.message
    assert error.remedy


@pytest.mark.parametrize(
    ("status", "words", "kind", "cause"),
    [
        (404, "No such container: abc", ContainerGone, "ENGINE_FAILED"),
        (
            409,
            "container is dead or marked for removal",
            ContainerGone,
            "ENGINE_FAILED",
        ),
        (404, "No such image: x:1", ImageError, "IMAGE_MISSING"),
        (400, "bind source path does not exist: /x", MountUnavailable, "ENGINE_FAILED"),
        (500, "Mounts denied: The path /x is not shared from the host", MountUnavailable, "ENGINE_FAILED"),
        (500, "write /var/lib/x: no space left on device", object, "DISK_FULL"),
        (400, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs", object, "CPU_UNAVAILABLE"),
        (400, "Minimum memory limit allowed is 6MB", object, "MEMORY_UNAVAILABLE"),
        (500, 'could not select device driver "" with capabilities: [[gpu]]', object, "GPU_UNAVAILABLE"),
        (500, "something new", object, "ENGINE_FAILED"),
    ],
)
def test_an_error_response_has_the_type_of_its_cause(status: int, words: str, kind: type, cause: str) -> None:
    error = api_error(status, words, "do it")
    assert isinstance(error, kind)
    assert str(error.cause) == cause
    assert error.message.startswith("cannot do it: ")
