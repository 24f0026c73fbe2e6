"""The inputs and outputs of a task: values, types, problems and files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from localrun import fs
from localrun.descriptor import Descriptor, Parameter
from localrun.descriptor.fields import constraints, parameter_fields, type_fields
from localrun.descriptor.types import Array, DataType, File, Geometry, Image, String
from localrun.platforms import profiles
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.undecodable import is_text
from localrun.values.references import parameter_of
from localrun.values.untrusted import TreeEntry, UnsafePath, UntrustedDir

MAX_FILES = 1000  # of one parameter
MAX_TEXT = 4000  # characters of a value
MAX_GEOMETRY = 256 * 1024  # bytes of a geometry to include
_METADATA = "array.yml"

Fields = dict[str, Any]


def declared(descriptor: Descriptor) -> dict[str, list[Fields]]:
    """Return the inputs and outputs of a descriptor."""
    return {
        "inputs": [_declared(parameter) for parameter in descriptor.inputs.values()],
        "outputs": [_declared(parameter) for parameter in descriptor.outputs.values()],
    }


def _declared(parameter: Parameter) -> Fields:
    found: Fields = {"derived_from": None, "matching": [], "has_default": parameter.has_default}
    return {
        "name": parameter.name,
        **found,
        **parameter_fields(parameter),
        "constraint": ", ".join(constraints(type_fields(parameter.type))),
        "kind": kind_of_value(parameter.type),
    }


def kind_of_value(kind: DataType) -> str:
    """Return how to show values of a type: scalar, text, image, geometry, file or array."""
    if isinstance(kind, (Array, Image, Geometry, File)):
        return kind.id
    return "text" if isinstance(kind, String) else "scalar"


def input_fields(record: TaskRecord, workspace: Workspace, descriptor: Descriptor) -> list[Fields]:
    """Return the inputs of a task with their values. Mounted files are those of the user."""
    mounted = {place: Path(source) for source, place in record.run_plan.mounts}
    values = record.inputs or record.received
    found = []
    with _Files(
        workspace.inputs, record.run_plan.input_folder, f"/task/{record.id}/inputs", mounted
    ) as files:
        for parameter in descriptor.inputs.values():
            fields = _parameter(parameter, record, "inputs", values, files)
            places = (parameter.name, f"{parameter.name}/0")
            fields["region"] = next(filter(None, map(record.regions.get, places)), None)
            crop = next(filter(None, map(record.crops.get, places)), None)
            fields["crop"] = crop.as_dict() if crop else None
            needed = {parameter_of(place) for place, one in record.sources.items() if one in record.needs}
            fields["missing"] = parameter.name in record.missing or parameter.name in needed
            fields["sources"] = [
                {**source.as_dict(), "place": place, "text": f"from {source}"}
                for place, source in record.sources.items()
                if parameter_of(place) == parameter.name
            ]
            found.append(fields)
    return found


def output_fields(record: TaskRecord, workspace: Workspace, descriptor: Descriptor) -> list[Fields]:
    """Return the outputs of a task with their values, and the files of an ended one."""
    if record.run_plan.profile != "bundle":
        return [_download(record, name) for name in profiles.for_record(record).downloads(record)]
    inside = record.run_plan.output_folder
    with _Files(
        workspace.outputs, inside, f"/task/{record.id}/outputs", enabled=record.state.is_final
    ) as files:
        outputs = descriptor.outputs.values()
        return [_parameter(one, record, "outputs", record.outputs, files) for one in outputs]


def _download(record: TaskRecord, name: str) -> Fields:
    """Return the packed result of an app, which has no declared outputs."""
    file = {"name": name, "index": None, "size": None, "url": f"/task/{record.id}/outputs/{name}"}
    empty: Fields = {
        "display_name": name,
        "description": "",
        "optional": False,
        "constraint": "",
        "count": None,
    }
    more: Fields = {"problems": [], "sources": [], "region": None, "crop": None, "missing": False}
    return {
        "name": name,
        "kind": "file",
        "type": {"id": "file"},
        "value": None,
        "files": [file],
        **empty,
        **more,
        "files_omitted": 0,
    }


class _Files:
    """The files of parameters below an untrusted folder, and mounted files by their place in it."""

    def __init__(
        self,
        folder: Path,
        inside: str,
        url: str,
        mounted: Mapping[str, Path] | None = None,
        *,
        enabled: bool = True,
    ) -> None:
        self._mounted = mounted or {}
        self._url = url
        try:
            self._tree = UntrustedDir(folder, inside) if enabled else None
        except OSError:
            self._tree = None

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        if self._tree is not None:
            self._tree.__exit__()

    def list(self, name: str) -> list[Fields]:
        """Return the file of a parameter, or those of the items of an array, by index."""
        try:
            if name in self._mounted:  # a link to it, once the task has ended
                return [self._fields(name, None, self._mounted[name])]
            entry = self._tree.find((name,)) if self._tree is not None else None
            if self._tree is None or entry is None:
                return []
            if entry.kind == "folder":
                names = [one for one in self._tree.list_names(entry, 100_000) if one != _METADATA]
                return [
                    self._fields(f"{name}/{one}", one, self._source(name, one))
                    for one in sorted(names, key=_order)
                ]
            return [self._fields(name, None, entry)]
        except UnsafePath:
            return []

    def _source(self, name: str, item: str) -> Path | TreeEntry | None:
        assert self._tree is not None
        try:
            return self._mounted.get(f"{name}/{item}") or self._tree.find((name, item))
        except UnsafePath:
            return None

    def _fields(self, place: str, item: str | None, source: Path | TreeEntry | None) -> Fields:
        size: int | None = None
        if isinstance(source, Path):
            try:
                size = source.stat().st_size
            except OSError:
                size = None
        elif source is not None and source.kind == "file":
            size = source.size
        index = (
            int(item) if item is not None and item.isascii() and item.isdigit() and len(item) < 10 else None
        )
        return {"name": place, "index": index, "size": size, "url": f"{self._url}/{place}"}

    def geometry(self, name: str) -> str | None:
        """Return the text of a small file."""
        try:
            source = self._mounted.get(name)
            if source is not None:
                return fs.read_regular(source).decode() if source.stat().st_size <= MAX_GEOMETRY else None
            entry = self._tree.find((name,)) if self._tree is not None else None
            if self._tree is None or entry is None or entry.kind != "file" or entry.size > MAX_GEOMETRY:
                return None
            return self._tree.read(entry, MAX_GEOMETRY).decode()
        except (UnsafePath, OSError, UnicodeDecodeError):
            return None


def _order(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isascii() and name.isdigit() and len(name) < 10 else (1 << 40, name)


def _parameter(
    parameter: Parameter, record: TaskRecord, section: str, values: Mapping[str, Any], files: _Files
) -> Fields:
    kind, value = parameter.type, values.get(parameter.name)
    is_plain = not (isinstance(kind, (Image, File)) or _is_file_array(kind))
    listed = files.list(parameter.name) if not is_plain or isinstance(kind, (Array, Geometry)) else []
    shown, is_cut = _value(kind, value, parameter.name, files) if is_plain else (None, False)
    count = (
        len(value) if isinstance(value, list) else len(listed) if isinstance(kind, Array) and listed else None
    )
    return {
        **_declared(parameter),
        "value": shown,
        "cut": is_cut,
        "count": count,
        "files": listed[:MAX_FILES],
        "files_omitted": max(0, len(listed) - MAX_FILES),
        "problems": list(_problems(record, section, parameter.name)),
        "region": None,
        "crop": None,
        "sources": [],
        "missing": record.state.is_final and section == "outputs" and value is None and not listed,
    }


def _is_file_array(kind: DataType) -> bool:
    return isinstance(kind, Array) and (
        isinstance(kind.subtype, (Image, File, Geometry)) or _is_file_array(kind.subtype)
    )


def _value(kind: DataType, value: Any, name: str, files: _Files) -> tuple[Any, bool]:
    if isinstance(kind, Geometry):
        if isinstance(value, str) and value.startswith("/"):
            value = files.geometry(name)
        return value, False
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return value[:MAX_TEXT], True
    if isinstance(value, list) and len(value) > MAX_TEXT:
        return value[:MAX_TEXT], True
    return value, False


def _problems(record: TaskRecord, section: str, name: str) -> Iterator[Fields]:
    for problem in record.problems:
        path = str(problem.get("path", ""))
        if path.split(".")[:2] == [section, name] or path.startswith(
            (f"{section}.{name}[", f"{section}.{name} ")
        ):
            yield problem


def mounted_file(record: TaskRecord, name: str) -> Path | None:
    """Return the user's file that is mounted as an input, or as an item of one."""
    for source, place in record.run_plan.mounts:
        if place == name and is_text(source) and os.path.isabs(source):  # noqa: PTH117 - text
            return Path(source)
    return None
