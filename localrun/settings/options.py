"""The options of a run: their names, which every entry point shares, and the validation of their values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

from localrun.units import parse_bytes, parse_duration

ProfileName = Literal["bundle", "iexec"]
PullPolicy = Literal["never", "missing", "always"]
Parser = Callable[[Any], Any]


def invalid(expected: str, value: Any) -> ValueError:
    """Return the error for a value of the wrong type or range."""
    return ValueError(f"expected {expected}, found {value!r}")


def parse_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise invalid("true or false", value)
    return value


def parse_text(value: Any, expected: str = "a non-empty string") -> str:
    if not isinstance(value, str) or not value:
        raise invalid(expected, value)
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
    "platform": partial(parse_text, expected="a platform, e.g. linux/arm64"),  # see `task/options.py`
    "pull": partial(_choice, PullPolicy),
    "retries": _count,
    "profile": partial(_choice, ProfileName),
    "replicas": partial(_count, least=1),
    "agree": partial(_count, least=1),
}
