"""Metadata that users attach to a task: JSON values by key, in a file of the task's folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from localrun import fs
from localrun.errors import Problem, UsageError
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.undecodable import is_text

_FILE = "metadata.json"
_MAX_DEPTH = 50  # levels of objects and lists
_decode = msgspec.json.Decoder(dict[str, Any]).decode
# JSON type -> whether a value can be encoded, and read again without a loss
_SCALARS: dict[type, Callable[[Any], bool]] = {
    str: is_text,
    int: lambda value: -(2**63) <= value < 2**63,
    float: math.isfinite,
}


def load(workspace: Workspace) -> dict[str, Any]:
    """Return the metadata of a task; empty if the file is missing or invalid."""
    return _load(f"{workspace}/{_FILE}")


def of(record: TaskRecord) -> dict[str, Any]:
    """Return the metadata of a task, as `load`."""
    return _load(f"{record.folder}/{_FILE}") if record.folder else {}


def _load(path: str) -> dict[str, Any]:
    try:
        return _decode(fs.read_regular(path))
    except (OSError, ValueError, RecursionError):
        return {}


def save(workspace: Workspace, metadata: Mapping[str, Any]) -> None:
    """Replace the metadata of a task, atomically. Raises `UsageError` as `check`."""
    fs.write_atomic(f"{workspace}/{_FILE}", msgspec.json.encode(check(metadata)))


def check(metadata: Any) -> dict[str, Any]:
    """Return a copy of plain JSON values. Raises `UsageError` with every invalid key and value.

    Keys are non-empty strings. Values are any JSON: scalars of numpy are numbers, tuples are lists.
    """
    problems: list[Problem] = []
    found = _object(metadata, "metadata", problems)
    if problems:
        remedy = "use non-empty strings as keys, and JSON values"
        raise UsageError("invalid metadata", remedy=remedy, problems=problems)
    return found


def valid_or_empty(metadata: Any) -> dict[str, Any]:
    """Return the metadata as `check`; empty if it is invalid."""
    try:
        return check(metadata)
    except UsageError:
        return {}


def parse(metadata: Any) -> dict[str, Any]:
    """Return the metadata as `check`. Raises ValueError with all problems in one line."""
    try:
        return check(metadata)
    except UsageError as error:
        places = [
            (problem.path.removeprefix("metadata").removeprefix("."), problem) for problem in error.problems
        ]
        lines = [f"{place}: {problem.message}" if place else problem.message for place, problem in places]
        raise ValueError("; ".join(lines)) from None


def _object(value: Any, place: str, problems: list[Problem], depth: int = 1) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        problems.append(Problem(place, f"expected an object with keys, found {value!r:.60}"))
        return {}
    found = {}
    for key, item in value.items():
        below = f"{place}.{key!s:.60}"
        if not isinstance(key, str) or not key or not is_text(key):
            problems.append(Problem(below, f"expected a non-empty string as the key, found {key!r:.60}"))
        else:
            found[str(key)] = _plain(item, below, problems, depth)
    return found


def _plain(value: Any, place: str, problems: list[Problem], depth: int) -> Any:
    """Return a JSON value in plain types, which are the only ones that the encoder knows."""
    if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0:  # a scalar of numpy
        value = value.item()
    if isinstance(value, (Mapping, list, tuple)):
        if depth > _MAX_DEPTH:
            message = f"nested too deeply; at most {_MAX_DEPTH} levels are allowed"
            problems.append(Problem(place[:80], message))
            return None
        if isinstance(value, Mapping):
            return _object(value, place, problems, depth + 1)
        items = enumerate(value)
        return [_plain(item, f"{place}/{index}", problems, depth + 1) for index, item in items]
    if value is None or isinstance(value, bool):
        return value
    for kind, is_valid in _SCALARS.items():
        if isinstance(value, kind) and is_valid(value):
            return kind(value)  # of a subclass, such as an enumeration
    problems.append(Problem(place, f"expected a JSON value, found {value!r:.60}"))
    return None


def parse_text(text: str) -> Any:
    """Return the value of `KEY=VALUE` on a command line: JSON, or else the text itself."""
    try:
        return _plain(msgspec.json.decode(text), "", [], 1)
    except (ValueError, RecursionError):
        return text


def has_values(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether metadata has all these values."""
    return all(key in found and _equal(found[key], value) for key, value in wanted.items())


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)


def has_text(found: Mapping[str, Any], condition: str) -> bool:
    """Return whether metadata fulfils `KEY=VALUE`, with the value as JSON or text, or has the `KEY`."""
    key, equals, text = condition.partition("=")
    if key not in found:
        return False
    return not equals or found[key] == text or _equal(found[key], parse_text(text))
