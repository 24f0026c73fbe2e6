"""Values as a user gives them: on a command line, or in a JSON or YAML file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from localrun.descriptor import Descriptor, yaml
from localrun.descriptor.types import Array, DataType, Notes, format_value
from localrun.errors import InputsError, Problem
from localrun.suggestions import did_you_mean

MAX_BYTES = 64 * 1024**2  # of a file of values; larger data belongs in a file input


class FileValue(msgspec.Struct, frozen=True):
    """What `name=@FILE` becomes: a file for a file parameter, the value that stands in it for others."""

    path: Path


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise `InputsError` when there are problems."""
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InputsError(f"the inputs have {count}", remedy="correct the values listed", problems=problems)


def unknown_input(name: str, descriptor: Descriptor) -> Problem:
    """The problem of a name that is no input."""
    remedy = did_you_mean(name, descriptor.inputs)
    if not remedy:
        names = ", ".join(descriptor.inputs)
        remedy = f"the inputs are: {names}" if names else "the task takes no inputs"
    return Problem(f"inputs.{name[:80]}", "is no input of the task", remedy)


class Assignments(msgspec.Struct, frozen=True):
    """What was read of `name=VALUE` texts: values, what is wrong, and the inputs that it is wrong with."""

    values: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    invalid: frozenset[str] = frozenset()


def parse_assignments(pairs: Sequence[str], descriptor: Descriptor) -> Assignments:
    """Read `name=VALUE` by the parameter's type, `name=@FILE` as a file, `name=@@text` as `@text`.

    An array is a JSON list, or is given item by item. Nothing is raised: what is wrong with the other
    inputs is to be told together with it, see `provision`.
    """
    misread: set[str] = set()
    notes = Notes("inputs")
    texts: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            notes.child(format_value(pair)).error("has no '='", f"write {name[:40]}=VALUE")
            misread.add(name)
        elif name not in descriptor.inputs:
            notes.problems.append(unknown_input(name, descriptor))
        else:
            texts.setdefault(name, []).append(text)
    found: dict[str, Any] = {}
    for name, given in texts.items():
        before = len(notes.problems)
        found[name] = _parameter(descriptor.inputs[name].type, given, notes.child(name))
        if len(notes.problems) > before:
            misread.add(name)
    values = {name: value for name, value in found.items() if name not in misread}
    return Assignments(values, tuple(notes.problems), frozenset(misread))


def _parameter(kind: DataType, texts: list[str], notes: Notes) -> Any:
    if isinstance(kind, Array):
        return _array(kind, texts, notes)
    if len(texts) > 1:
        notes.error(f"is given {len(texts)} times", "give it once")
    return _one(kind, texts[-1], notes)


def _array(kind: Array, texts: list[str], notes: Notes) -> Any:
    if len(texts) > 1:
        return [_one(kind.subtype, text, notes.child(index)) for index, text in enumerate(texts)]
    text = texts[0]
    if text.lstrip().startswith("["):
        return _json(text, notes)
    if text.startswith("@") and not text.startswith("@@"):
        return _file(text)
    return [_one(kind.subtype, text, notes.child(0))]


def _one(kind: DataType, text: str, notes: Notes) -> Any:
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@"):
        return _file(text)
    if isinstance(kind, Array):
        return _json(text, notes)
    return kind.parse(text, notes)


def _file(text: str) -> FileValue:
    return FileValue(expand_path(text))


def expand_path(text: str) -> Path:
    """The path in `@FILE`; `~` is the user's home, which a shell leaves alone behind `=`."""
    return Path(os.path.expanduser(text.removeprefix("@")))  # noqa: PTH111 - Path's own raises without a home


def _json(text: str, notes: Notes) -> Any:
    try:
        return _resolve(json.loads(text), Path())
    except (ValueError, RecursionError) as error:
        notes.error(
            f"{format_value(text)} is no JSON list: {_reason(error)}",
            'write a list such as [1, 2] or ["a", "b"]',
        )
        return None


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def load_values(path: Path) -> dict[str, Any]:
    """Read a JSON or YAML file of values by name; a text `@FILE` in it is relative to it.

    Raises `InputsError` with the line and column.
    """
    found = _load(path)
    if not isinstance(found, dict):
        raise_problems(
            [Problem("", "holds no mapping of names to values", "write name: value", file=str(path))]
        )
    return {name: _resolve(value, path.parent) for name, value in found.items()}


def load_list(path: Path) -> Any:
    """What a file of one value holds, with `FileValue` for `@FILE`. Raises `InputsError`."""
    return _resolve(_load(path), path.parent)


def _load(path: Path) -> Any:
    data = _bytes(path)
    is_json = path.suffix.lower() == ".json" or (
        path.suffix.lower() not in (".yml", ".yaml") and data.lstrip()[:1] in (b"{", b"[")
    )
    return _from_json(data, path) if is_json else _from_yaml(data, path)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problem = Problem("", f"cannot be read: {reason}", "check the path", file=str(path))
        raise _unreadable(path, problem) from None
    if len(data) > MAX_BYTES:
        raise_problems(
            [Problem("", f"is larger than {MAX_BYTES} bytes", "give large data as files", file=str(path))]
        )
    return data


def _unreadable(path: Path, problem: Problem) -> InputsError:
    return InputsError(f"{path} cannot be read", remedy="correct what is listed", problems=[problem])


def _from_json(data: bytes, path: Path) -> Any:
    repeated: list[Problem] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            repeated.append(Problem(twice[:80], "is there more than once", "keep one", file=str(path)))
        return found

    try:
        found = json.loads(data, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        problem = Problem(
            "", f"is not JSON: {error.msg}", "correct it there", str(path), error.lineno, error.colno
        )
        raise _unreadable(path, problem) from None
    except (ValueError, RecursionError) as error:
        problem = Problem("", f"is not JSON: {_reason(error)}", "correct it", file=str(path))
        raise _unreadable(path, problem) from None
    raise_problems(repeated)
    return found


def _from_yaml(data: bytes, path: Path) -> Any:
    try:
        found = yaml.read(data, str(path))
    except yaml.DocumentError as error:
        raise _unreadable(path, error.problem) from None
    # aliases are well in a file that only localrun reads; a name that is there twice is a slip
    raise_problems([problem for problem in found.warnings if "duplicate key" in problem.message])
    return found.root.to_python()


def _resolve(value: Any, base: Path) -> Any:
    if isinstance(value, str) and value.startswith("@"):
        return value[1:] if value.startswith("@@") else FileValue(base / expand_path(value))
    if isinstance(value, list):
        return [_resolve(item, base) for item in value]
    # an item of App Engine's own form of an array; other objects are geometries, whose texts are their own
    if isinstance(value, dict) and set(value) == {"index", "value"}:
        return {**value, "value": _resolve(value["value"], base)}
    return value
