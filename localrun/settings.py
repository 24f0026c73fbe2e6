"""All that can be set, in one place: argument > `LOCALRUN_*` > default.

Made once, in a face, and handed down; nothing below the faces reads the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from localrun.errors import Problem, UsageError

PREFIX = "LOCALRUN_"


class Settings(BaseModel):
    """What localrun can be told; every field is also an environment variable `LOCALRUN_<FIELD>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(Path(".localrun"), description="Where the tasks of this project are kept.")
    cache: Path = Field(
        Path("~/.cache/localrun"),
        description="What is known of bundles; may be deleted any time.",
    )
    docker_host: str | None = Field(None, description="The engine's address; default: DOCKER_HOST.")
    grace: float = Field(
        10.0, ge=0, le=600, description="Seconds between asking a container to stop and stopping it."
    )
    pids_limit: int = Field(4096, ge=16, description="Processes and threads that a task may have at once.")
    disk_reserve: int = Field(
        256 * 1024**2,
        ge=0,
        description="Bytes that must stay free on the tasks' disk for a task to start.",
    )
    log_limit: int = Field(
        64 * 1024**2,
        ge=4096,
        description="Bytes of a task's log kept on disk; its end is always kept.",
    )


def load(environ: Mapping[str, str], **arguments: Any) -> Settings:
    """Make the settings from arguments (None: not given) and environment variables.

    Raises `UsageError` that lists every value that does not fit, and unknown `LOCALRUN_*` names.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in Settings.model_fields:
        text = environ.get(PREFIX + name.upper(), "")
        if text:
            given.setdefault(name, text)
    if "docker_host" not in given and environ.get("DOCKER_HOST"):
        given["docker_host"] = environ["DOCKER_HOST"]
    if "cache" not in given and environ.get("XDG_CACHE_HOME"):
        given["cache"] = Path(environ["XDG_CACHE_HOME"]) / "localrun"
    try:
        made = Settings(**given)
    except ValidationError as error:
        raise UsageError(
            "some settings do not fit",
            remedy="correct or unset the variables named below",
            problems=[_problem(item) for item in error.errors()],
        ) from error
    return made.model_copy(update={"home": made.home.absolute(), "cache": made.cache.expanduser().absolute()})


def _problem(item: Any) -> Problem:
    name = ".".join(str(part) for part in item["loc"])
    return Problem(PREFIX + name.upper(), f"{item['msg']} (it is {item['input']!r})")
