"""The options of a run, which the command line, Python, HTTP and pytest share, and their validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

from localrun.engines.architectures import parse_platform
from localrun.errors import Problem
from localrun.task.record import ProfileName, PullPolicy, StoredOptions
from localrun.units import parse_bytes, parse_duration

Parser = Callable[[Any], Any]


class RunOptions(StoredOptions, frozen=True, kw_only=True):
    """All options of a run. `timeout` is in seconds, `memory` in bytes. None: from the descriptor."""

    timeout: float | None = None
    cpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    network: bool | None = None


def invalid(expected: str, value: Any) -> ValueError:
    """Return the error for a value of the wrong type or range."""
    return ValueError(f"expected {expected}, found {value!r}")


def parse_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid("true or false", value)
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise invalid("a number above 0", value)
    try:
        return float(value)
    except OverflowError:
        raise ValueError("expected a smaller number, found one of more than 300 digits") from None


def _count(value: Any, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1000:
        raise invalid(f"an integer from {least} to 999", value)
    return value


def _seconds(value: Any) -> float:
    return parse_duration(value) if isinstance(value, str) else _number(value)


def _bytes(value: Any) -> int:
    size = parse_bytes(value) if isinstance(value, str) else int(_number(value))
    if size < 1:  # an engine does not limit the memory of a container whose limit is 0
        raise invalid("at least 1 byte", value)
    return size


def _choice(choices: Any, value: Any) -> Any:
    if value not in get_args(choices):
        raise invalid(f"one of {', '.join(get_args(choices))}", value)
    return value


def _platform(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise invalid("a platform, e.g. linux/arm64", value)
    return str(parse_platform(value))


# option -> returns its value, or raises ValueError; durations and sizes may be strings with units
PARSERS: dict[str, Parser] = {
    "timeout": _seconds,
    "cpus": _number,
    "memory": _bytes,
    "gpus": _count,
    "network": parse_boolean,
    "writable_inputs": parse_boolean,
    "copy_inputs": parse_boolean,
    "hardened": parse_boolean,
    "platform": _platform,
    "pull": partial(_choice, PullPolicy),
    "retries": _count,
    "profile": partial(_choice, ProfileName),
    "replicas": partial(_count, least=1),
    "agree": partial(_count, least=1),
}


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
