"""The options of tasks and servers: the names that all entry points share, and the validation of values."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

from localrun.units import parse_bytes, parse_duration

ProfileName = Literal["bundle", "iexec"]
PullPolicy = Literal["never", "missing", "always"]
OnExit = Literal["leave", "kill", "wait"]
ReuseChoice = Literal["no", "yes", "all"]  # all: also of tasks with a network or secrets
Parser = Callable[[Any], Any]

MOUNT = re.compile(r"(?s)(?P<source>.+):(?P<target>/[^:]*)(?::(?P<mode>[^:/]*))?")


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


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise invalid("a list of non-empty strings", value)
    return value


def _texts_by_name(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise invalid("a table of strings", value)
    return value


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid("a table", value)
    return value


def _build_args(value: Any) -> dict[str, str]:
    """Return the arguments as strings: a version such as 3 is easily written without quotes."""
    if not isinstance(value, dict) or not all(isinstance(item, (str, int, float)) for item in value.values()):
        raise invalid("a table of strings", value)
    return {name: str(item).lower() if isinstance(item, bool) else str(item) for name, item in value.items()}


def _mounts(value: Any) -> list[str]:
    for text in _texts(value):
        if MOUNT.fullmatch(text) is None:
            raise ValueError(f"{text!r} is not SRC:DST or SRC:DST:rw, with an absolute DST")
    return list(value)


def _port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**16:
        raise invalid("a port from 0 to 65535", value)
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


def _reuse(value: Any) -> ReuseChoice:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value not in get_args(ReuseChoice):
        raise invalid("true, false or 'all'", value)
    found: ReuseChoice = value
    return found


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
    "reuse": _reuse,
}

# options that only the command line, Python and settings files have
LOCAL_PARSERS: dict[str, Parser] = {
    "image": parse_text,
    "dockerfile": parse_text,
    "context": parse_text,
    "target": parse_text,
    "build_args": _build_args,
    "build_contexts": _texts_by_name,
    "build_secrets": _texts_by_name,
    "mounts": _mounts,
    "metadata": _table,  # see `task/metadata.py`
}

SERVER_PARSERS: dict[str, Parser] = {
    "host": parse_text,
    "port": _port,
    "bundles": _texts,
    "on_exit": partial(_choice, OnExit),
    "token": parse_text,
    "allow_unauthenticated": parse_boolean,
    "heartbeat": _seconds,
    "upload_limit": _bytes,
    "names": _texts,
    "api_prefixes": _texts,
    "clusters": _texts,
    "open": parse_boolean,
    "without_engine": parse_boolean,
}

# options with a single value, which are variables too
LOCAL_SCALARS = ("image", "dockerfile", "context", "target")
SERVER_SCALARS = (
    *("host", "port", "on_exit", "heartbeat", "upload_limit", "open", "without_engine"),
    "allow_unauthenticated",
)
