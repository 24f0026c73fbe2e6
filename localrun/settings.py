"""All that can be set, in one place: argument > `LOCALRUN_*` > default.

Made once, in a face, and handed down; nothing below the faces reads the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec

from localrun.errors import Problem, UsageError

PREFIX = "LOCALRUN_"


_Meta = msgspec.Meta


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What localrun can be told; every field is also an environment variable `LOCALRUN_<FIELD>`."""

    home: Annotated[Path, _Meta(description="Where the tasks of this project are kept.")] = Path(".localrun")
    cache: Annotated[Path, _Meta(description="What is known of bundles; may be deleted any time.")] = Path(
        "~/.cache/localrun"
    )
    logs: Annotated[Path, _Meta(description="Where a server keeps its journal.")] = Path("logs")
    docker_host: Annotated[str | None, _Meta(description="The engine's address; default: DOCKER_HOST.")] = (
        None
    )
    ledger: Annotated[
        Path | None, _Meta(description="The file of reservations; default: one for the whole machine.")
    ] = None
    grace: Annotated[
        float, _Meta(ge=0, le=600, description="Seconds between asking a container to stop and stopping it.")
    ] = 10.0
    pids_limit: Annotated[
        int, _Meta(ge=16, description="Processes and threads that a task may have at once.")
    ] = 4096
    disk_reserve: Annotated[
        int, _Meta(ge=0, description="Bytes that must stay free on the tasks' disk for a task to start.")
    ] = 256 * 1024**2
    keep_completed: Annotated[
        int, _Meta(ge=1, description="Ended tasks that a server keeps in memory; all stay on disk.")
    ] = 1000
    disk_limit: Annotated[
        float, _Meta(gt=0, le=100, description="Percent of a disk beyond which no task starts.")
    ] = 90.0
    disk_stop: Annotated[
        float,
        _Meta(gt=0, le=100, description="Percent of a disk beyond which the task that grows is stopped."),
    ] = 97.0
    engine_patience: Annotated[
        float, _Meta(ge=0, description="Seconds to wait for an engine that went away while a task runs.")
    ] = 30.0
    stall: Annotated[
        float,
        _Meta(
            ge=0,
            description="Seconds of silence, without any work, after which a task is warned of; 0: never.",
        ),
    ] = 1800.0
    log_limit: Annotated[
        int, _Meta(ge=4096, description="Bytes of a task's log kept on disk; its end is always kept.")
    ] = 64 * 1024**2


def load(environ: Mapping[str, str], **arguments: Any) -> Settings:
    """Make the settings from arguments (None: not given) and environment variables.

    Raises `UsageError` that lists every value that does not fit.
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
    fitting: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        try:
            fitting[name] = msgspec.convert(value, forms[name], strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            problems.append(Problem(PREFIX + name.upper(), f"{error} (it is {value!r})"))
    if problems:
        raise UsageError(
            "some settings do not fit", remedy="correct or unset the variables listed", problems=problems
        )
    return fitting


def _path(form: type, value: Any) -> Any:
    return form(value)
