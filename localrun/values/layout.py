"""Check the inputs and plan what to write, before anything is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from localrun.descriptor import Descriptor, Parameter
from localrun.descriptor.types import (
    Array,
    DataType,
    File,
    Geometry,
    Image,
    Notes,
    format_value,
    holds_files,
)
from localrun.task.record import Crop
from localrun.values import matching
from localrun.values.input_files import (
    head_of,
    is_lfs_pointer,
    is_readable,
    list_entries,
    normalized,
    open_file,
    path_of,
    read_value,
    status_of,
)
from localrun.values.input_folder import read_items
from localrun.values.parsing import FileValue, unknown_input
from localrun.values.regions import (
    Attached,
    is_image_object,
    parts_of,
    read_region,
    report_image_object,
    split_regions,
)
from localrun.values.untrusted import kind_of

_FILES = (File, Image, Geometry)


class InputEntry(msgspec.Struct, frozen=True):
    """A path to create in the input folder: a folder, a text, a file, or the files of a zip."""

    target: str
    kind: Literal["folder", "text", "copy", "mount", "unpack"]
    content: bytes = b""
    source: Path = Path()


class InputLayout(msgspec.Struct):
    """Everything to write, the values and regions as JSON, and notes on the defaults in use."""

    values: dict[str, Any] = msgspec.field(default_factory=dict)
    entries: list[InputEntry] = msgspec.field(default_factory=list)
    regions: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    crops: dict[str, Crop] = msgspec.field(default_factory=dict)
    defaults_used: list[str] = msgspec.field(default_factory=list)


def plan_inputs(
    descriptor: Descriptor,
    values: Mapping[str, Any],
    notes: Notes,
    *,
    copy: bool,
    invalid: Collection[str] = (),
    known: InputLayout | None = None,
) -> InputLayout:
    """Check every value and plan its files. Adds problems to `notes`.

    The inputs in `invalid` are skipped: their problems are known already. The layout has the values, regions
    and crops of the inputs in `known` as well, whose files exist already.
    """
    layout = known or InputLayout()
    invalid = {*invalid, *layout.values}
    values, attached = split_regions(values, descriptor, notes)
    notes.problems += [
        unknown_input(str(name), descriptor) for name in values if name not in descriptor.inputs
    ]
    planner = _Planner(layout, copy, attached)
    for name, parameter in descriptor.inputs.items():
        if name in invalid:
            continue
        inner = notes.child(name)
        found = _value_of(parameter, values, layout, inner)
        if found is not None:
            layout.values[name] = planner.add(parameter.type, name, found, inner)
    planner.report_unused(descriptor, invalid, notes)
    matching.check_inputs(descriptor, layout.values, notes)
    return layout


def _value_of(parameter: Parameter, values: Mapping[str, Any], layout: InputLayout, notes: Notes) -> Any:
    name = parameter.name
    if name in values and values[name] is None and not parameter.optional:
        notes.error("must not be null (not optional)", "set a value")
    if name in values:
        return values[name]
    # a descriptor must not choose a file of the host
    if parameter.has_default and not holds_files(parameter.type):
        layout.defaults_used.append(f"{name} is not set; using the default {format_value(parameter.default)}")
        return parameter.default
    if not parameter.optional:
        notes.error("missing required input", f"set it with {name}={_example(parameter.type)}")
    return None


def _example(kind: DataType) -> str:
    if isinstance(kind, _FILES):
        return "@FILE"
    return "[...]" if isinstance(kind, Array) else kind.id.upper()


class _Planner:
    """Converts values to entries."""

    def __init__(self, layout: InputLayout, copy: bool, attached: Attached) -> None:
        self.layout = layout
        self.entries = layout.entries
        self.copy = copy
        self.attached = attached

    def report_unused(self, descriptor: Descriptor, invalid: Collection[str], notes: Notes) -> None:
        """Report the regions of images that are not there."""
        for place in self.attached:
            name, _, index = place.partition("/")
            value = self.layout.values.get(name)
            child = notes.child(place)
            if name in invalid or (name in self.layout.values and value is None):
                continue
            if isinstance(value, list):
                child.error(f"{name} has no item {index.replace('/', '.')}", f"it has {len(value)}, from 0")
            elif descriptor.inputs[name].optional:  # a missing required input has been reported
                child.error("has a region, but is not set", f"set it with {name}=@FILE")

    def add(self, kind: DataType, target: str, value: Any, notes: Notes) -> Any:
        """Plan the files of one value. Return the value as JSON."""
        if isinstance(kind, Array):
            return self._array(kind, target, value, notes)
        if isinstance(kind, Image):
            return self._picture(kind, target, value, notes)
        if isinstance(kind, File):
            return self._plain_file(kind, target, value, notes)
        if isinstance(value, (FileValue, Path)):
            path = path_of(value) or Path()
            if isinstance(kind, Geometry):
                return self._file(kind, target, path, notes)
            return self._text(kind, target, read_value(kind, path, notes))
        return self._text(kind, target, kind.validate(value, notes))

    def _plain_file(self, kind: File, target: str, value: Any, notes: Notes) -> Any:
        if is_image_object(value):
            notes.error("inputs of type file have no region", "pass only the file, e.g. @FILE")
            return None
        path = path_of(value)
        return kind.validate(value, notes) if path is None else self._file(kind, target, path, notes)

    def _picture(self, kind: Image, target: str, value: Any, notes: Notes) -> Any:
        """Plan an image, and the region next to it."""
        parts = parts_of(value, self.attached.pop(target, {}), notes)
        path = path_of(parts.file)
        if path is None and isinstance(value, Mapping):
            report_image_object(value, notes)
            return None
        if path is None:
            return kind.validate(value, notes)
        if parts.crop is not None:
            return self._crop(kind, target, path, parts.crop, notes)
        found = self._file(kind, target, path, notes)
        geometry = None if parts.region is None else read_region(parts.region, notes.child("region"))
        if geometry is not None:
            self._region(target, geometry)
        if parts.cropped is not None:
            self.layout.crops[target] = parts.cropped
        return found

    def _region(self, target: str, geometry: dict[str, Any]) -> None:
        self.layout.regions[target] = geometry
        self.entries.append(InputEntry(f"{target}.geojson", "text", msgspec.json.encode(geometry)))

    def _crop(self, kind: Image, target: str, path: Path, crop: Any, notes: Notes) -> str:
        """Plan the part of an image that the platform would cut out for an annotation."""
        from localrun.values.crop import crop_image

        geometry = read_region(crop, notes.child("region"))
        status = status_of(path, notes)
        if geometry is not None and status is not None and is_readable(path, notes):
            found = crop_image(kind, path, geometry, notes)
            if found is not None:
                self.entries.append(InputEntry(target, "text", found.png))
                self._region(target, found.region)
                self.layout.crops[target] = found.crop
        return str(path)

    def _text(self, kind: DataType, target: str, value: Any) -> Any:
        if value is None:
            return None
        # text that cannot be encoded has been reported
        self.entries.append(InputEntry(target, "text", kind.to_text(value).encode(errors="replace")))
        return kind.to_json(value)

    def _array(self, kind: Array, target: str, value: Any, notes: Notes) -> Any:
        if isinstance(value, (FileValue, Path)):
            before = len(notes.problems)
            value = read_items(kind, path_of(value) or Path(), notes)
            if value is None or len(notes.problems) > before:
                return None
        items = kind.validate_items(value, notes)
        if items is None:
            return None
        self.entries.append(InputEntry(target, "folder"))
        # App Engine: no line break at the end
        self.entries.append(InputEntry(f"{target}/array.yml", "text", f"size: {len(items)}".encode()))
        return [
            self.add(kind.subtype, f"{target}/{index}", item, notes.child(index))
            for index, item in enumerate(items)
        ]

    def _file(self, kind: DataType, target: str, path: Path, notes: Notes) -> str | None:
        status = status_of(path, notes)
        if status is None:
            return None
        if stat.S_ISDIR(status.st_mode) and isinstance(kind, Image):
            self._slide(kind, target, path, notes)
        elif not stat.S_ISREG(status.st_mode):
            notes.error(f"expected a file, got the {kind_of(status.st_mode)} {path}", "use a regular file")
        elif is_readable(path, notes):
            self._regular(kind, target, path, status, notes)
        return str(path)

    def _regular(self, kind: DataType, target: str, path: Path, status: os.stat_result, notes: Notes) -> None:
        if is_lfs_pointer(path, status.st_size, notes):
            return
        if isinstance(kind, Geometry):
            read_value(kind, path, notes)
        elif isinstance(kind, Image) and self._image(kind, target, path, notes):
            return
        elif isinstance(kind, File):
            kind.check_size(status.st_size, notes)
            kind.check_head(head_of(path) if kind.formats == ("text",) else b"", notes)
        # a mounted file must be readable for any user of the container
        mountable = bool(status.st_mode & stat.S_IROTH) and not self.copy
        source = normalized(path, os.path.realpath)
        self.entries.append(InputEntry(target, "mount" if mountable else "copy", source=source))

    def _image(self, kind: Image, target: str, path: Path, notes: Notes) -> bool:
        """Check an image. Return whether it is a zip, which is unpacked for the task."""
        from localrun.values.image_headers.checks import check_image, is_zip

        with path.open("rb") as file:
            zipped = is_zip(file.read(4))
            file.seek(0)
            check_image(kind, file, os.fstat(file.fileno()).st_size, notes)
        if zipped:
            self.entries.append(InputEntry(target, "unpack", source=Path(os.path.realpath(path))))
        return zipped

    def _slide(self, kind: Image, target: str, path: Path, notes: Notes) -> None:
        from localrun.values.image_headers.checks import check_slide_folder

        first, before = len(self.entries), len(notes.problems)
        self._folder(target, path, notes)
        copies = [entry for entry in self.entries[first:] if entry.kind == "copy"]
        files = (
            (entry.target[len(target) + 1 :], partial(open_file, entry.source), entry.source.stat().st_size)
            for entry in copies
        )
        if len(notes.problems) == before:
            check_slide_folder(kind, files, notes)

    def _folder(self, target: str, path: Path, notes: Notes) -> None:
        self.entries.append(InputEntry(target, "folder"))
        for entry in list_entries(path, notes):
            inner, place = Path(entry.path), f"{target}/{entry.name}"
            if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
                notes.error(f"{inner} is neither a file nor a folder", "remove it from the folder")
            elif entry.is_dir():
                self._folder(place, inner, notes)
            elif is_readable(inner, notes):
                self.entries.append(InputEntry(place, "copy", source=inner))
