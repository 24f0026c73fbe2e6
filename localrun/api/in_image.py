"""Move the geometries that a task found in a crop back into the whole image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from localrun import descriptor
from localrun.descriptor.types import Array, DataType, Geometry
from localrun.errors import DescriptorError, UsageError
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.collection import is_index
from localrun.values.coordinates import links
from localrun.values.crop import translate


class GeometryMover:
    """Moves the copies of geometries by the offset of the crop that they lie in.

    `warnings` has what was not moved. Geometries of an image that was not cropped have the coordinates of the
    whole image already. Raises `UsageError` if the descriptor of the task cannot be read.
    """

    def __init__(self, record: TaskRecord, workspace: Workspace) -> None:
        self.warnings: list[str] = []
        self._record = record
        try:
            self._descriptor = descriptor.read(workspace.descriptor.read_bytes())
        except (OSError, DescriptorError) as error:
            message = f"cannot read the descriptor of task {record.short_id}: {error}"
            raise UsageError(message, remedy="copy the outputs without --in-image") from error

    def move(self, name: str, path: Path) -> None:
        """Rewrite the copy of an output, a file or a folder."""
        output = self._descriptor.outputs.get(name)
        is_geometry = output is not None and isinstance(links.innermost(output.type), Geometry)
        if output is None or not is_geometry or not (self._record.crops or self._record.regions):
            return
        # output images are left out: they have no crop
        given = links.Values(self._record.inputs, {name: _copies(output.type, path)}, {})
        unknown = set(_files(path))
        for group in links.groups(self._descriptor, given, "outputs", name):
            if group.picture is None:
                continue
            for item in group.items:
                unknown.discard(item.value)
                self._move_file(item, group.picture.file)
        if unknown:
            self._warn(name, "it is not known which image it belongs to (declare derived_from)")

    def _move_file(self, item: links.Item, image: str) -> None:
        crop = self._record.crops.get(image)
        if crop is None:
            if image in self._record.regions:
                why = f"the offset of {image} is not known (pass the whole image with --region)"
                self._warn(item.place.partition("[")[0], why)
            return
        path = Path(item.value)
        try:
            moved = translate(json.loads(path.read_bytes()), *crop.offset)
        except (ValueError, TypeError, LookupError, RecursionError):
            self._warn(item.place, "it is not valid GeoJSON")
            return
        path.write_text(json.dumps(moved, separators=(",", ":")))

    def _warn(self, name: str, why: str) -> None:
        warning = f"{name} was not moved: {why}"
        if warning not in self.warnings:
            self.warnings.append(warning)


def _copies(kind: DataType, path: Path) -> Any:
    """Return the paths of copied items, in lists that end at the first missing item."""
    if not isinstance(kind, Array):
        return str(path) if path.is_file() else None
    present = takewhile(lambda item: item.exists(), (path / str(index) for index in count()))
    return [_copies(kind.subtype, item) for item in present]


def _files(path: Path) -> Iterator[str]:
    if path.is_file():
        yield str(path)
    yield from (str(item) for item in path.rglob("*") if is_index(item.name) and item.is_file())
