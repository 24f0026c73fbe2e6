"""Move the geometries that a task found in a crop back into the whole image."""

from __future__ import annotations

import json
from pathlib import Path

from localrun import descriptor
from localrun.descriptor.types import Array, DataType, Geometry
from localrun.errors import DescriptorError, UsageError
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.crop import translate
from localrun.values.image_links import image_of


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
        if output is not None and (self._record.crops or self._record.regions):
            self._move(output.type, name, path, ())

    def _move(self, kind: DataType, name: str, path: Path, indexes: tuple[int, ...]) -> None:
        if isinstance(kind, Array) and path.is_dir():
            items = (item for item in path.iterdir() if item.name.isdecimal())
            for item in sorted(items, key=lambda item: int(item.name)):
                self._move(kind.subtype, name, item, (*indexes, int(item.name)))
        elif isinstance(kind, Geometry) and path.is_file():
            self._move_file(name, path, indexes)

    def _move_file(self, name: str, path: Path, indexes: tuple[int, ...]) -> None:
        place = image_of(self._descriptor, name, indexes)
        crop = self._record.crops.get(place) if place is not None else None
        if crop is None:
            self._warn(name, place)
            return
        shown = "/".join([name, *map(str, indexes)])
        try:
            moved = translate(json.loads(path.read_bytes()), *crop.offset)
        except (ValueError, TypeError, LookupError, RecursionError):
            self.warnings.append(f"{shown} was not moved: it is not valid GeoJSON")
            return
        path.write_text(json.dumps(moved, separators=(",", ":")))

    def _warn(self, name: str, place: str | None) -> None:
        if place is None:
            why = "it is not known which image it belongs to (declare derived_from)"
        elif place in self._record.regions:
            why = f"the offset of {place} is not known (pass the whole image with --region)"
        else:
            return
        warning = f"{name} was not moved: {why}"
        if warning not in self.warnings:
            self.warnings.append(warning)
