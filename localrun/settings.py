"""All settings: an argument takes precedence over `LOCALRUN_*` variables, and these over the default.

The entry points load them once and pass them down; no other module reads the environment.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from localrun.errors import Problem, UsageError
from localrun.undecodable import escape, is_text
from localrun.units import format_count, parse_bytes, parse_duration

PREFIX = "LOCALRUN_"
_CACHE = Path("~/.cache/localrun")
NO_FOLDER = Path("/dev/null/localrun")  # cannot exist: nothing is read or written there


def _doc(description: str, **limits: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, **limits)


_Positive = Annotated[int, msgspec.Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of localrun. Each field is also an environment variable `LOCALRUN_<FIELD>`."""

    home: Annotated[Path, _doc("Folder of this project's tasks.")] = Path(".localrun")
    cache: Annotated[
        Path, _doc("Cache of parsed bundles. Safe to delete. Temporary if there is no home directory.")
    ] = _CACHE
    logs: Annotated[Path, _doc("Folder of the server's journal.")] = Path("logs")
    docker_host: Annotated[str | None, _doc("Address of the container engine. Defaults to DOCKER_HOST.")] = (
        None
    )
    docker_context: Annotated[
        str | None, _doc("Docker context of the engine. Defaults to DOCKER_CONTEXT; default: the current one")
    ] = None
    docker_config: Annotated[Path, _doc("Folder of docker's configuration. Defaults to DOCKER_CONFIG.")] = (
        Path("~/.docker")
    )
    docker_tls_verify: Annotated[
        bool, _doc("Use TLS, and verify the engine's certificate. Defaults to DOCKER_TLS_VERIFY.")
    ] = False
    docker_tls: Annotated[
        bool, _doc("Use TLS without verifying the engine's certificate. Defaults to DOCKER_TLS.")
    ] = False
    docker_cert_path: Annotated[
        Path | None,
        _doc(
            "Folder of ca.pem, cert.pem and key.pem for TLS. Defaults to DOCKER_CERT_PATH; "
            "default: docker's configuration"
        ),
    ] = None
    container_host: Annotated[
        str | None, _doc("Address of Podman if nothing of Docker is found. Defaults to CONTAINER_HOST.")
    ] = None
    runtime_dir: Annotated[
        Path | None,
        _doc(
            "Folder of the sockets of rootless engines. Defaults to XDG_RUNTIME_DIR; default: /run/user/UID"
        ),
    ] = None
    builder: Annotated[
        Literal["auto", "buildkit", "classic"],
        _doc(
            "Builder of images: buildkit, classic (the engine's own), or auto (buildkit if it has a client)."
        ),
    ] = "auto"
    ledger: Annotated[Path | None, _doc("Reservation file. Defaults to a machine-wide file.")] = None
    grace: Annotated[float, _doc("Seconds between SIGTERM and SIGKILL.", ge=0, le=600)] = 10.0
    pids_limit: Annotated[int, _doc("Maximum number of processes and threads per task.", ge=16)] = 4096
    disk_reserve: Annotated[int, _doc("Bytes that must be free before a task starts.", ge=0)] = 256 * 1024**2
    keep_completed: Annotated[int, _doc("Number of finished tasks in a server's memory.", ge=1)] = 1000
    disk_limit: Annotated[float, _doc("Disk usage in percent above which no task starts.", gt=0, le=100)] = (
        90.0
    )
    disk_stop: Annotated[
        float,
        _doc(
            "Disk usage in percent above which the largest task is stopped and copies are refused.",
            gt=0,
            le=100,
        ),
    ] = 97.0
    engine_patience: Annotated[float, _doc("Seconds to wait for an unreachable engine.", ge=0)] = 30.0
    stall: Annotated[float, _doc("Seconds of inactivity before a stall warning (0: never).", ge=0)] = 1800.0
    log_limit: Annotated[
        int, _doc("Maximum bytes of a task's log; the last MiB is kept in addition.", ge=4096)
    ] = 64 * 1024**2
    keep: Annotated[
        _Positive | None, _doc("Number of ended tasks to keep, the others are deleted; default: all")
    ] = None
    max_age: Annotated[
        float | None, _doc("Time after its end, e.g. 30d, when a task is deleted; default: never")
    ] = None
    max_size: Annotated[
        _Positive | None, _doc("Size of all ended tasks, e.g. 50Gi, the oldest are deleted; default: any")
    ] = None


_PARSERS: dict[str, Callable[[str], float]] = {"max_age": parse_duration, "max_size": parse_bytes}
# may contain bytes that are not UTF-8
PATHS = {"home", "cache", "logs", "docker_config", "docker_cert_path", "runtime_dir", "ledger"}
_ENGINE = ("docker_host", "docker_context")  # what chooses the engine


def load(environ: Mapping[str, str], **arguments: Any) -> Settings:
    """Return the settings from arguments (None: not set) and environment variables.

    Raises `UsageError` with every invalid value.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in Settings.__struct_fields__:
        text = environ.get(PREFIX + name.upper(), "")
        if text:
            given.setdefault(name, text)
    is_chosen = any(name in given for name in _ENGINE)  # localrun's own variables come before docker's
    defaults = {name: value for name, value in _foreign(environ).items() if value and name not in given}
    foreign = {name: value for name, value in defaults.items() if not (is_chosen and name in _ENGINE)}
    given |= foreign
    if "cache" not in given and environ.get("XDG_CACHE_HOME"):
        given["cache"] = Path(environ["XDG_CACHE_HOME"]) / "localrun"
    made = Settings(**_checked(given, foreign))
    if "cache" not in given:
        made = msgspec.structs.replace(made, cache=default_cache())
    if "docker_config" not in given:
        made = msgspec.structs.replace(made, docker_config=_expanded(made.docker_config) or NO_FOLDER)
    try:
        return msgspec.structs.replace(made, **_absolute(made))
    except OSError as error:
        raise missing_working_directory() or error from error


def _foreign(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the variables of Docker, Podman and the desktop say about settings."""
    return {
        "docker_host": environ.get("DOCKER_HOST"),
        "docker_context": environ.get("DOCKER_CONTEXT"),
        "docker_config": environ.get("DOCKER_CONFIG"),
        # to docker, any text is true, also "0"
        "docker_tls_verify": bool(environ.get("DOCKER_TLS_VERIFY")),
        "docker_tls": bool(environ.get("DOCKER_TLS")),
        "docker_cert_path": environ.get("DOCKER_CERT_PATH"),
        "container_host": environ.get("CONTAINER_HOST"),
        "runtime_dir": environ.get("XDG_RUNTIME_DIR"),
    }


def _absolute(made: Settings) -> dict[str, Any]:
    """Return the paths that must not depend on the working directory, which a supervisor does not keep."""
    names = ("home", "cache", "logs", "docker_config", "docker_cert_path")
    found: dict[str, Any] = {name: path.absolute() for name in names if (path := getattr(made, name))}
    socket = (made.docker_host or "").removeprefix("unix://")
    if socket not in ("", made.docker_host) and not socket.startswith("/"):
        found["docker_host"] = f"unix://{Path(socket).absolute()}"
    return found


def missing_working_directory() -> UsageError | None:
    """Return an error if the working directory was deleted, else None. The system does not name it."""
    try:
        os.getcwd()  # noqa: PTH109 - the error, not the path
    except OSError as error:
        try:
            place = f" {os.readlink('/proc/self/cwd').removesuffix(' (deleted)')}"  # noqa: PTH115
        except OSError:
            place = ""
        message = f"cannot use the working directory{place}: {error.strerror}"
        return UsageError(message, remedy="change to an existing folder: `cd`")
    return None


def default_cache() -> Path:
    """Return the cache below the user's home directory, else a private folder for temporary files.

    A user without a home directory, as in `docker run --user`, has only the latter. Returns `NO_FOLDER` if
    there is no private folder.
    """
    path = _expanded(_CACHE)
    if path is not None and _can_create(path):
        return path
    import tempfile

    try:
        private = Path(tempfile.gettempdir(), f"localrun-cache-{os.geteuid()}")
        with suppress(FileExistsError):
            private.mkdir(mode=0o700)
        status = private.lstat()
    except OSError:
        return NO_FOLDER
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return private if is_own else NO_FOLDER


def _can_create(path: Path) -> bool:
    """Return whether a folder is writable, or its first parent that exists."""
    while not os.path.lexists(path):
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def _expanded(path: Path) -> Path | None:
    """Return the path with `~` and `~user` expanded; None if the home directory is not known."""
    found = os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises without a home
    return None if found.startswith("~") else Path(found)


def _checked(given: Mapping[str, Any], foreign: Container[str]) -> dict[str, Any]:
    """Return the settings converted to their types; `foreign` are those from variables of other programs."""
    types = get_type_hints(Settings, include_extras=True)
    valid: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        variable = (
            name.upper().replace("RUNTIME", "XDG_RUNTIME") if name in foreign else PREFIX + name.upper()
        )
        if isinstance(value, str) and not is_text(value) and name not in PATHS:
            problems.append(Problem(variable, f"'{escape(value)}' is not UTF-8"))
            continue
        try:
            if isinstance(value, str) and name in _PARSERS:
                value = _PARSERS[name](value)  # noqa: PLW2901
            found = msgspec.convert(value, types[name], strict=False, dec_hook=lambda path, x: path(x))
            valid[name] = _expanded(found) if isinstance(found, Path) else found
            if isinstance(found, Path) and valid[name] is None:
                reason = "no home directory to expand ~ to"
                problems.append(Problem(variable, f"invalid value {str(value)!r}: {reason}"))
        except ValueError as error:  # also of msgspec
            reason = f"{str(error)[0].lower()}{str(error)[1:]}".replace("`", "")
            problems.append(Problem(variable, f"invalid value {value!r}: {reason}"))
    if problems:
        message = f"invalid settings ({format_count(len(problems), 'problem')})"
        raise UsageError(message, remedy="fix or unset the variables listed", problems=problems)
    return valid
