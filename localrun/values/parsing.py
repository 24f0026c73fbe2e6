"""Parse input values from a command line, or from a JSON or YAML file."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from localrun.descriptor import Descriptor, yaml
from localrun.descriptor.types import Array, DataType, File, Geometry, Image, Notes, format_value
from localrun.errors import InputsError, Problem
from localrun.suggestions import did_you_mean
from localrun.units import format_count
from localrun.values.references import TaskOutput, parse_reference
from localrun.values.region_names import parse_region_name
from localrun.values.urls import Url, is_url

MAX_BYTES = 64 * 1024**2  # of a file of values
MAX_YAML_VALUES = 200_000  # of a YAML file, which is slower to read than JSON


class FileValue(msgspec.Struct, frozen=True):
    """The value of `name=@FILE`: the file for a file parameter, its content for any other."""

    path: Path


def raise_problems(problems: Sequence[Problem]) -> None:
    if problems:
        count = format_count(len(problems), "problem")
        raise InputsError(f"invalid inputs ({count})", remedy="fix the problems listed", problems=problems)


def unknown_input(name: str, descriptor: Descriptor) -> Problem:
    """Return the problem for a name that is not an input."""
    item = parse_region_name(f"{name}.crop")
    parameter = descriptor.inputs.get(item.parameter) if item is not None else None
    if parameter is not None and isinstance(parameter.type, Array):
        remedy = f"repeat {parameter.name}=VALUE for each item, or pass a list"
        return Problem(f"inputs.{name[:80]}", f"cannot set a single item {name[:80]!r}", remedy)
    names = ", ".join(descriptor.inputs)
    expected = f"expected one of: {names}" if names else "the task has no inputs"
    remedy = did_you_mean(name, descriptor.inputs) or expected
    return Problem(f"inputs.{name[:80]}", f"unknown input {name[:80]!r}", remedy)


class Assignments(msgspec.Struct, frozen=True):
    """Parsed `name=VALUE` strings: the values, the problems, and the names of the invalid inputs."""

    values: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    invalid: frozenset[str] = frozenset()

    def with_problems(self, problems: Sequence[Problem]) -> Assignments:
        """Return the assignments with more problems, whose inputs are invalid."""
        invalid = {problem.path.split(".")[1] for problem in problems}
        return Assignments(self.values, (*self.problems, *problems), self.invalid | invalid)


NO_ASSIGNMENTS = Assignments({})


def parse_assignments(pairs: Sequence[str], descriptor: Descriptor) -> Assignments:
    """Parse `name=VALUE` by the parameter's type, `name=@FILE` as a file, `name=@@text` as `@text`.

    A URL is a file; a value of another type is read from `name=@URL`.
    `name=@task:ID/OUTPUT` is an output of another task. An array is a JSON list, or one pair for each item.
    `image.geojson` is the region of an image. Problems are returned, not raised, so that `provision` can
    report them together with those of the other inputs.
    """
    invalid: set[str] = set()
    notes = Notes("inputs")
    texts: dict[str, list[str]] = {}
    regions: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            notes.child(format_value(pair)).error("missing '='", f"write {name[:40]}=VALUE")
            invalid.add(name)
        elif name not in descriptor.inputs and (region := parse_region_name(name)) is not None:
            key = f"{region.place}.{name.rpartition('.')[2]}"
            if key in regions:
                notes.child(region.place).error(f"the {region.role} is set twice", "set it once")
            regions[key] = _file(text) if text.startswith("@") or is_url(text) else text
        elif name not in descriptor.inputs:
            notes.problems.append(unknown_input(name, descriptor))
        else:
            texts.setdefault(name, []).append(text)
    found: dict[str, Any] = {}
    for name, given in texts.items():
        before = len(notes.problems)
        found[name] = _parameter(descriptor.inputs[name].type, given, notes.child(name))
        if len(notes.problems) > before:
            invalid.add(name)
    values = {name: value for name, value in found.items() if name not in invalid}
    return Assignments(values | regions, tuple(notes.problems), frozenset(invalid))


def _parameter(kind: DataType, texts: list[str], notes: Notes) -> Any:
    if isinstance(kind, Array):
        return _array(kind, texts, notes)
    if len(texts) > 1:
        notes.error(f"set {len(texts)} times", "set it once")
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
    if isinstance(kind, (File, Image, Geometry)) and is_url(text):
        return Url(text)
    if isinstance(kind, Array) or (isinstance(kind, Image) and text.startswith("{")):
        return _json(text, notes)
    return kind.parse(text, notes)


def _file(text: str, base: Path | None = None) -> FileValue | TaskOutput | Url:
    """Return the value of `@FILE`, relative to `base`, of `@task:ID/OUTPUT`, or of `@URL`."""
    name = text.removeprefix("@")
    if is_url(name):
        return Url(name)
    path = expand_path(name)
    return parse_reference(name) or FileValue(path if base is None else base / path)


def expand_path(text: str) -> Path:
    """Return the path in `@FILE`. `~` is expanded, since shells do not expand it after `=`."""
    return Path(os.path.expanduser(text.removeprefix("@")))  # noqa: PTH111 - Path.expanduser raises without a home


def _json(text: str, notes: Notes) -> Any:
    try:
        return resolve_files(json.loads(text), Path())
    except (ValueError, RecursionError) as error:
        kind = "object" if text.startswith("{") else "list"
        notes.error(
            f"invalid JSON {kind} {format_value(text)}: {_reason(error)}",
            'expected e.g. [1, 2] or ["a", "b"]',
        )
        return None


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def load_values(path: Path) -> dict[str, Any]:
    """Load a JSON or YAML file of values by name. A string `@FILE` in it is relative to the file.

    Raises `InputsError`, with the line and column.
    """
    found = _load(path)
    if not isinstance(found, dict):
        message = "expected a mapping of input names to values"
        raise_problems([Problem("", message, "write e.g. `threshold: 0.5`", file=str(path))])
    return {name: resolve_files(value, path.parent) for name, value in found.items()}


def load_list(path: Path) -> Any:
    """Load a JSON or YAML file of one value, with `FileValue` for `@FILE`. Raises `InputsError`."""
    return resolve_files(_load(path), path.parent)


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
        problem = Problem("", f"cannot read the file: {reason}", "check the path", file=str(path))
        raise _unreadable(path, problem) from None
    if len(data) > MAX_BYTES:
        raise_problems(
            [Problem("", f"larger than {MAX_BYTES} bytes", "use file inputs for large data", file=str(path))]
        )
    return data


def _unreadable(path: Path, problem: Problem) -> InputsError:
    return InputsError(f"cannot read {path}", remedy="fix the problems listed", problems=[problem])


def _from_json(data: bytes, path: Path) -> Any:
    repeated: list[Problem] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            twice = next(name for name, count in Counter(name for name, _ in items).items() if count > 1)
            repeated.append(Problem(twice[:80], "duplicate key", "remove one of them", file=str(path)))
        return found

    try:
        found = json.loads(data, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        problem = Problem(
            "", f"invalid JSON: {error.msg}", "correct it there", str(path), error.lineno, error.colno
        )
        raise _unreadable(path, problem) from None
    except (ValueError, RecursionError) as error:
        problem = Problem("", f"invalid JSON: {_reason(error)}", "correct the file", file=str(path))
        raise _unreadable(path, problem) from None
    raise_problems(repeated)
    return found


def _from_yaml(data: bytes, path: Path) -> Any:
    try:
        found = yaml.read(data, str(path), limit=MAX_YAML_VALUES)
    except yaml.DocumentError as error:
        raise _unreadable(path, error.problem) from None
    # other warnings concern App Engine, which does not read this file
    raise_problems([problem for problem in found.warnings if "duplicate key" in problem.message])
    return found.root.to_python()


def resolve_files(value: Any, base: Path) -> Any:
    """Return a value with `FileValue` for each string `@FILE`; a relative path starts at `base`.

    `@task:ID/OUTPUT` is an output of another task.
    """
    if isinstance(value, str) and value.startswith("@"):
        return value[1:] if value.startswith("@@") else _file(value, base)
    if isinstance(value, list):
        return [resolve_files(item, base) for item in value]
    # an item in App Engine's form of an array, or an image with its region; any other object is a geometry,
    # whose strings stay as they are
    if isinstance(value, dict) and (set(value) == {"index", "value"} or "file" in value):
        return {key: resolve_files(item, base) for key, item in value.items()}
    return value
