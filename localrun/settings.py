"""All settings: an argument takes precedence over `LOCALRUN_*` variables, and these over the default.

The entry points load them once and pass them down; no other module reads the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from localrun.errors import Problem, UsageError
from localrun.units import format_count

PREFIX = "LOCALRUN_"


def _doc(description: str, **limits: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, **limits)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of localrun. Each field is also an environment variable `LOCALRUN_<FIELD>`."""

    home: Annotated[Path, _doc("Folder of this project's tasks.")] = Path(".localrun")
    cache: Annotated[Path, _doc("Cache of parsed bundles. Safe to delete.")] = Path("~/.cache/localrun")
    logs: Annotated[Path, _doc("Folder of the server's journal.")] = Path("logs")
    docker_host: Annotated[str | None, _doc("Address of the container engine. Defaults to DOCKER_HOST.")] = (
        None
    )
    docker_config: Annotated[Path, _doc("Folder of docker's configuration. Defaults to DOCKER_CONFIG.")] = (
        Path("~/.docker")
    )
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


def load(environ: Mapping[str, str], **arguments: Any) -> Settings:
    """Return the settings from arguments (None: not set) and environment variables.

    Raises `UsageError` with every invalid value.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in Settings.__struct_fields__:
        text = environ.get(PREFIX + name.upper(), "")
        if text:
            given.setdefault(name, text)
    if "docker_host" not in given and environ.get("DOCKER_HOST"):
        given["docker_host"] = environ["DOCKER_HOST"]
    if "docker_config" not in given and environ.get("DOCKER_CONFIG"):
        given["docker_config"] = Path(environ["DOCKER_CONFIG"])
    if "cache" not in given and environ.get("XDG_CACHE_HOME"):
        given["cache"] = Path(environ["XDG_CACHE_HOME"]) / "localrun"
    made = Settings(**_checked(given))
    cache = made.cache.expanduser().absolute()
    return msgspec.structs.replace(made, home=made.home.absolute(), cache=cache, logs=made.logs.absolute())


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    types = get_type_hints(Settings, include_extras=True)
    valid: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        try:
            valid[name] = msgspec.convert(value, types[name], strict=False, dec_hook=lambda path, x: path(x))
        except msgspec.ValidationError as error:
            reason = f"{str(error)[0].lower()}{str(error)[1:]}".replace("`", "")
            problems.append(Problem(PREFIX + name.upper(), f"invalid value {value!r}: {reason}"))
    if problems:
        message = f"invalid settings ({format_count(len(problems), 'problem')})"
        raise UsageError(message, remedy="fix or unset the variables listed", problems=problems)
    return valid
