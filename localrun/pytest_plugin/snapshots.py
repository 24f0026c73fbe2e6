"""Updating the expected outputs of test cases."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from localrun import fs
from localrun.api import Task
from localrun.copying import copy_file, copy_tree
from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.pytest_plugin.case_discovery import EXPECTED
from localrun.values.compare.expected.files import missing_files
from localrun.values.compare.expected.outputs import Difference
from localrun.values.image_headers.magic import HEAD_SIZE, detect_formats

_FILES = "expected"  # the folder of expected files, next to expected.json


def can_be_read(types: Mapping[str, DataType], name: str, value: Any) -> bool:
    """Return whether an expected value is that of an output, and all its files exist."""
    return name in types and not list(missing_files(types[name], value))


def update(
    folder: Path,
    task: Task,
    types: Mapping[str, DataType],
    differences: Collection[Difference],
    ignored: Collection[str] = (),
) -> list[str]:
    """Write the outputs of a task to the case in `folder`. Return the changed names.

    Equal and ignored outputs are left unchanged. New outputs are added, and names that are no longer outputs
    are removed.
    """
    path = folder / EXPECTED
    before = _read(path)
    differ = {difference.path.removeprefix("outputs.").partition(".")[0] for difference in differences}
    outputs = task.info.outputs
    after: dict[str, Any] = {name: value for name, value in before.items() if name in types}
    written = [name for name in before if name not in types]
    for name, kind in types.items():
        if name in ignored or (name in before and name not in differ and _files_exist(folder, before[name])):
            continue
        after[name] = _Writer(folder, name).value(kind, outputs.get(name), before.get(name))
        written.append(name)
    if written:
        _write(path, after)
    return written


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _files_exist(folder: Path, value: Any) -> bool:
    if isinstance(value, list):
        return all(_files_exist(folder, item) for item in value)
    named = isinstance(value, str) and value.startswith("@") and not value.startswith("@@")
    return not named or (folder / value[1:]).exists()


def _write(path: Path, values: Mapping[str, Any]) -> None:
    with fs.atomic_file(path) as temp:
        temp.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


class _Writer:
    """Writes an output. Files replace the old ones if these are in the folder of the case."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    def value(self, kind: DataType, value: Any, before: Any, place: str = "") -> Any:
        if value is None:
            return None
        if isinstance(kind, Array):
            previous = before if isinstance(before, list) else []
            return [
                self.value(
                    kind.subtype, item, previous[index] if index < len(previous) else None, f"{place}/{index}"
                )
                for index, item in enumerate(value)
            ]
        if isinstance(kind, (File, Geometry, Image)):
            return self._file(kind, Path(value), before, place)
        return f"@{value}" if isinstance(value, str) and value.startswith("@") else value

    def _file(self, kind: DataType, source: Path, before: Any, place: str) -> str:
        name = self._previous_file(before) or f"{_FILES}/{self._name}{place}{_suffix(kind, source)}"
        target = self._folder / name
        if target.is_dir():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with fs.atomic_file(target) as temp:
            if source.is_dir():
                temp.mkdir()
                copy_tree(source, temp)
            else:
                copy_file(source, temp)
        return f"@{name}"

    def _previous_file(self, before: Any) -> str | None:
        if not isinstance(before, str) or not before.startswith("@") or before.startswith("@@"):
            return None
        target = (self._folder / before[1:]).resolve()
        return before[1:] if target.is_relative_to(self._folder.resolve()) else None


def _suffix(kind: DataType, source: Path) -> str:
    if isinstance(kind, Geometry):
        return ".geojson"
    if not isinstance(kind, Image) or source.is_dir():
        return ""
    with source.open("rb") as stream:
        found = detect_formats(stream.read(HEAD_SIZE))
    return f".{found[-1]}" if found else ""
