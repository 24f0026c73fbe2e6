"""All settings: an argument takes precedence over `LOCALRUN_*` variables, and these over the default.

The entry points load them once and pass them down; no other module reads the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec

from localrun.errors import Problem, UsageError
from localrun.units import format_count

PREFIX = "LOCALRUN_"

_Meta = msgspec.Meta


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of localrun. Each field is also an environment variable `LOCALRUN_<FIELD>`."""

    home: Annotated[Path, _Meta(description="Folder of this project's tasks.")] = Path(".localrun")
    cache: Annotated[Path, _Meta(description="Cache of parsed bundles. Safe to delete.")] = Path(
        "~/.cache/localrun"
    )
    logs: Annotated[Path, _Meta(description="Folder of the server's journal.")] = Path("logs")
    docker_host: Annotated[
        str | None, _Meta(description="Address of the container engine. Defaults to DOCKER_HOST.")
    ] = None
    ledger: Annotated[
        Path | None, _Meta(description="Reservation file. Defaults to a machine-wide file.")
    ] = None
    grace: Annotated[
        float,
        _Meta(ge=0, le=600, description="Seconds between SIGTERM and SIGKILL when a container is stopped."),
    ] = 10.0
    pids_limit: Annotated[
        int, _Meta(ge=16, description="Maximum number of processes and threads per task.")
    ] = 4096
    disk_reserve: Annotated[
        int, _Meta(ge=0, description="Bytes that must be free on the disk of the tasks before a task starts.")
    ] = 256 * 1024**2
    keep_completed: Annotated[
        int,
        _Meta(ge=1, description="Number of finished tasks that a server keeps in memory. All stay on disk."),
    ] = 1000
    disk_limit: Annotated[
        float, _Meta(gt=0, le=100, description="Disk usage in percent above which no task starts.")
    ] = 90.0
    disk_stop: Annotated[
        float,
        _Meta(
            gt=0,
            le=100,
            description="Disk usage in percent above which the task that writes most is stopped.",
        ),
    ] = 97.0
    engine_patience: Annotated[
        float, _Meta(ge=0, description="Seconds to wait for an engine that becomes unreachable during a run.")
    ] = 30.0
    stall: Annotated[
        float,
        _Meta(
            ge=0,
            description="Seconds of inactivity after which a task is reported as stalled; 0 disables it.",
        ),
    ] = 1800.0
    log_limit: Annotated[
        int, _Meta(ge=4096, description="Maximum bytes of a task's log on disk. The end is always kept.")
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
    if "cache" not in given and environ.get("XDG_CACHE_HOME"):
        given["cache"] = Path(environ["XDG_CACHE_HOME"]) / "localrun"
    made = Settings(**_checked(given))
    return msgspec.structs.replace(
        made,
        home=made.home.absolute(),
        cache=made.cache.expanduser().absolute(),
        logs=made.logs.absolute(),
    )


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    forms = get_type_hints(Settings, include_extras=True)
    valid: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        try:
            valid[name] = msgspec.convert(value, forms[name], strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            reason = f"{str(error)[0].lower()}{str(error)[1:]}".replace("`", "")
            problems.append(Problem(PREFIX + name.upper(), f"invalid value {value!r}: {reason}"))
    if problems:
        message = f"invalid settings ({format_count(len(problems), 'problem')})"
        raise UsageError(message, remedy="correct or unset the variables listed", problems=problems)
    return valid


def _path(form: type, value: Any) -> Any:
    return form(value)
