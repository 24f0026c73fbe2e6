"""The options of a run, which the command line, Python, HTTP and pytest share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localrun.engines.architectures import parse_platform
from localrun.errors import Problem
from localrun.settings import options
from localrun.settings.options import Parser, ReuseChoice
from localrun.task import metadata
from localrun.task.record import StoredOptions


class RunOptions(StoredOptions, frozen=True, kw_only=True):
    """All options of a run. `timeout` is in seconds, `memory` in bytes. None: from the descriptor.

    `reuse` takes the result of a finished task with the same inputs and program, instead of a new one.
    """

    timeout: float | None = None
    cpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    network: bool | None = None
    reuse: ReuseChoice = "no"


def _platform(value: Any) -> str:
    return str(parse_platform(options.PARSERS["platform"](value)))


# the settings know neither the platforms of engines nor the metadata of tasks
PARSERS: dict[str, Parser] = {**options.PARSERS, "platform": _platform, "metadata": metadata.parse}


def parse_options(values: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return the validated options among `values`, without those that are None. Adds to `problems`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if value is not None and name in PARSERS:
            try:
                found[name] = PARSERS[name](value)
            except ValueError as error:
                problems.append(Problem(name, str(error)))
    return found
