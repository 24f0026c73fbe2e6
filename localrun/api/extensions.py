"""Give the copies of outputs the extensions that other programs expect.

A container writes `mask` and `outlines/0`, without extensions. Here they become `mask.png`, by the content of
the file, and `outlines.geojson`, one FeatureCollection for an array of geometries.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import msgspec

from localrun import descriptor, fs
from localrun.copying import DiskLimit
from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.descriptor.types.geojson import NESTING
from localrun.errors import DescriptorError
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.collection import is_index
from localrun.values.coordinates import links

_HEAD = 4096  # bytes that are enough to detect a format
_MAX_JSON = 64 * 1024**2  # bytes of a file that is parsed to tell JSON from text, and of one geometry
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"II+\0", ".tif"),
    (b"MM\0+", ".tif"),
    (b"PK\x03\x04", ".zip"),
    (b"%PDF-", ".pdf"),
    (b"GIF8", ".gif"),
    (b"\x1f\x8b", ".gz"),
    (b"\x93NUMPY", ".npy"),
    (b"\x89HDF\r\n\x1a\n", ".h5"),
    (b"SQLite format 3\0", ".sqlite"),
    (b"PAR1", ".parquet"),
)
_DICOM = slice(128, 132)
_ITEMS = frozenset({"Feature", *NESTING})  # kinds of GeoJSON that are one geometry
_GEOJSON = _ITEMS | {"FeatureCollection", "GeometryCollection"}


class ExtensionNamer:
    """Renames copies. `names` has the new name of each output and item, by its place such as `masks/0`.

    `warnings` has what keeps its name although it should get another one.
    """

    def __init__(self, record: TaskRecord, workspace: Workspace, limit: DiskLimit) -> None:
        self.names: dict[str, str] = {}
        self.warnings: list[str] = []
        self._limit = limit
        self._values = record.outputs
        try:
            self._outputs = descriptor.read(fs.read_regular(workspace.descriptor)).outputs
        except (OSError, DescriptorError):  # the names then depend on the content only
            self._outputs = {}

    def rename(self, name: str, copy: Path) -> str:
        """Rename the items in the copy of an output. Return the new name of the output. Raises `OSError`."""
        if name not in self._outputs:
            return name  # a file of iExec, with a name of its own
        kind = self._outputs[name].type
        is_collection = isinstance(kind, Array) and isinstance(links.innermost(kind), Geometry)
        if is_collection and copy.is_dir() and self._collect(name, copy):
            found = f"{name}.geojson"
        elif copy.is_dir():
            if isinstance(kind, Array):
                self._rename_items(kind.subtype, name, name, copy)
            found = name
        else:
            found = name + extension_of(kind, copy)
        self.names[name] = found
        self._warn_of_others(name, found, copy.parent)
        return found

    def _rename_items(self, kind: DataType, place: str, shown: str, folder: Path) -> None:
        for item in sorted(folder.iterdir()):
            if not is_index(item.name):
                continue
            own, path = f"{place}/{item.name}", f"{shown}/{item.name}"
            if item.is_dir():
                if isinstance(kind, Array):
                    self._rename_items(kind.subtype, own, path, item)
                continue
            target = item.with_name(item.name + extension_of(kind, item))
            if target != item and os.path.lexists(target):
                self.warnings.append(f"{own} was not renamed: the task also wrote {place}/{target.name}")
                continue
            item.rename(target)
            self.names[own] = f"{shown}/{target.name}"

    def _collect(self, name: str, copy: Path) -> bool:
        """Replace the folder of an array of geometries by one file. Return whether all are in it."""
        items = dict(_items(copy, ()))
        others = [path for path in _files(copy) if path.name != "array.yml" and path not in items.values()]
        if others:
            self.warnings.append(f"{name} stays a folder: it also has {others[0].relative_to(copy)}")
            return False
        with fs.temp_file(copy) as whole:
            try:
                self._write_collection(name, items, whole)
            except ValueError as error:
                self.warnings.append(f"{name} stays a folder: {error}")
                return False
            fs.remove(copy)
            whole.rename(copy)
        return True

    def _write_collection(self, name: str, items: dict[tuple[int, ...], Path], target: Path) -> None:
        """Raises `ValueError` for an item that is not GeoJSON."""
        with target.open("wb") as stream:
            stream.write(b'{"type":"FeatureCollection","features":[')
            for number, (index, path) in enumerate(items.items()):
                feature = self._feature(name, index, path)
                self._limit.use(stream.fileno(), len(feature))
                stream.write((b",\n" if number else b"\n") + feature)
            stream.write(b"\n]}\n")
        target.chmod(0o644)

    def _feature(self, name: str, index: tuple[int, ...], path: Path) -> bytes:
        """Return a geometry as a Feature, which keeps all of its own bytes, and the values at its index."""
        place = "/".join(map(str, index))
        if path.stat().st_size > _MAX_JSON:
            raise ValueError(f"{place} is too large")
        data = path.read_bytes()
        try:
            fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            kind = msgspec.json.decode(fields.get("type", b"null"))
            own = msgspec.json.decode(fields.get("properties", b"null"), type=dict[str, msgspec.Raw] | None)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ValueError(f"{place} is not GeoJSON") from error
        if not isinstance(kind, str) or kind not in _ITEMS:
            raise ValueError(f"{place} is not GeoJSON")
        more = {"index": index[0] if len(index) == 1 else list(index), **self._values_at(name, index)}
        properties = {key: msgspec.json.encode(value) for key, value in more.items()} | (own or {})
        if kind != "Feature":
            fields = {"type": msgspec.Raw(b'"Feature"'), "geometry": msgspec.Raw(data.strip())}
        return _object({**fields, "properties": _object(properties)})

    def _values_at(self, name: str, index: tuple[int, ...]) -> dict[str, Any]:
        """Return the values at the same index in other arrays, such as the area of each outline."""
        found = {}
        for other, parameter in self._outputs.items():
            if isinstance(links.innermost(parameter.type), (File, Geometry, Image)):
                continue
            value = links.parallel_value(self._values.get(name), self._values.get(other), index)
            if value is not None:
                found[other] = value
        return found

    def _warn_of_others(self, name: str, found: str, folder: Path) -> None:
        """Warn about an older copy of the output with another extension."""
        others = [path.name for path in sorted(folder.glob(f"{name}.*")) if path.name != found]
        if others:
            self.warnings.append(f"{folder} also has {others[0]}, which may be an older copy of {name}")


def extension_of(kind: DataType | None, path: Path) -> str:
    """Return the extension of a file by its content, such as `.png`; for others, by the type of the output.

    An unknown binary file has none.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if not isinstance(kind, (File, Image, Geometry)):
        return ".txt"
    found = next((extension for magic, extension in _SIGNATURES if head.startswith(magic)), "")
    if head[_DICOM] == b"DICM":
        return ".dcm"
    if found or isinstance(kind, Image):
        return found
    return _text_extension(path, head)


def _text_extension(path: Path, head: bytes) -> str:
    if not head or any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return ""
    if head.lstrip()[:1] in (b"{", b"[") and path.stat().st_size <= _MAX_JSON:
        try:
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return ".txt"
        kind = found.get("type") if isinstance(found, dict) else None
        return ".geojson" if isinstance(kind, str) and kind in _GEOJSON else ".json"
    return ".txt"


def _object(fields: dict[str, Any]) -> bytes:
    """Return a JSON object from encoded values."""
    parts = (msgspec.json.encode(key) + b":" + bytes(value) for key, value in fields.items())
    return b"{" + b",".join(parts) + b"}"


def _items(folder: Path, index: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Path]]:
    """Yield the files of the items 0, 1, ... of an array of any depth, with their indexes."""
    for number in takewhile(lambda number: (folder / str(number)).exists(), count()):
        path = folder / str(number)
        if path.is_dir():
            yield from _items(path, (*index, number))
        else:
            yield (*index, number), path


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if not path.is_dir())
