"""Read inputs from a folder in App Engine's layout: `image`, `images/0`, `size`, `image.geojson`.

A file has the name of its parameter, without an extension. An array is a folder with the items `0`, `1`, ...
and, optionally, an `array.yml` with their number. Hidden files are ignored.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from localrun.descriptor import Descriptor, Parameter
from localrun.descriptor.types import Array, DataType, File, Geometry, Image, Notes, format_value
from localrun.errors import InputsError, Problem
from localrun.suggestions import closest, did_you_mean
from localrun.units import format_count
from localrun.values.collection import check_gaps, is_index, read_array_size
from localrun.values.input_files import list_entries, path_of, read_value, status_of
from localrun.values.parsing import FileValue, load_list
from localrun.values.region_names import parse_region_name
from localrun.values.regions import is_image_object, path_in
from localrun.values.untrusted import kind_of

METADATA = "array.yml"
REGION = ".geojson"
_MAX_METADATA = 64 * 1024
_MAX_UNKNOWN = 20  # reported
_FILES = (File, Image, Geometry)

Entries = Mapping[str, Path]


class FolderInputs(msgspec.Struct, frozen=True):
    """The values in a folder, problems with them, and a problem for each file that is not an input."""

    values: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    unknown: tuple[Problem, ...] = ()


def read_folder(folder: Path, descriptor: Descriptor) -> FolderInputs:
    """Read a folder of inputs. The values are files still to be validated, as if each was given as `@FILE`.

    An image with a region is `{"file": ..., "region": ...}`.
    """
    notes = Notes("inputs")
    reader = _Reader()
    entries = _entries(folder, notes)
    values: dict[str, Any] = {}
    used: set[str] = set()
    for name, parameter in descriptor.inputs.items():
        found = reader.parameter(parameter, entries, notes.child(name))
        used |= {name, *found}
        values |= {key: value for key, value in found.items() if value is not None}
    for name in entries:
        if name not in used:
            reader.report(folder, name, notes, _remedy(folder, name, entries, descriptor.inputs))
    return FolderInputs(values, tuple(notes.problems), reader.unknown_files())


def load_texts(values: Mapping[str, Any], descriptor: Descriptor, notes: Notes) -> dict[str, Any]:
    """Return the values in a form that JSON can store: the content of texts, and the absolute paths of files.

    Outputs of other tasks stay as they are.
    """
    return {
        name: _loaded_text(descriptor.inputs[name].type, value, notes.child(name))
        if name in descriptor.inputs
        else _absolute_region(value)
        for name, value in values.items()
    }


def _absolute_region(value: Any) -> Any:
    is_text = isinstance(value, str) and path_in(value) is None
    return value if is_text else path_of(value) or value


def _loaded_text(kind: DataType, value: Any, notes: Notes) -> Any:
    if isinstance(kind, Array) and isinstance(value, (list, tuple)):
        return [_loaded_text(kind.subtype, item, notes.child(index)) for index, item in enumerate(value)]
    if isinstance(kind, Image) and is_image_object(value):
        return {key: _absolute_region(part) for key, part in value.items()}
    if isinstance(kind, (File, Image)):
        return path_of(value) or value
    if not isinstance(value, (FileValue, Path)):
        return value
    found = read_value(kind, path_of(value) or Path(), notes)
    return None if found is None else kind.to_json(found)


def read_items(kind: Array, path: Path, notes: Notes) -> Sequence[Any] | None:
    """Return the items at a path: those of a folder, one file, or the list in a file; None if it is neither.

    In a folder without `0`, each file is an item, in natural order.
    """
    status = status_of(path, notes)
    if status is None:
        return None
    of_files = isinstance(kind.subtype, _FILES)
    if stat.S_ISDIR(status.st_mode):
        return _items_in(kind, path, notes, of_files=of_files)
    if not stat.S_ISREG(status.st_mode):
        message = f"expected a file with a list, got the {kind_of(status.st_mode)} {path}"
        notes.error(message, "use a JSON or YAML file")
        return None
    return [FileValue(path)] if of_files else _loaded(path, notes)


def _items_in(kind: Array, path: Path, notes: Notes, *, of_files: bool) -> list[Any] | None:
    reader = _Reader()
    found = reader.items(kind, path, notes, any_names=of_files)
    if not found and not of_files and not (path / METADATA).exists():
        remedy = "name the items 0, 1, ..., or use a JSON or YAML file with a list"
        notes.error(f"expected a file with a list, got the folder {path} without items", remedy)
        return None
    unknown = reader.unknown_files()
    if unknown and not found:
        notes.problems += unknown
        return None
    notes.warnings += map(str, unknown)
    return found


def _loaded(path: Path, notes: Notes) -> Any:
    try:
        return load_list(path)
    except InputsError as error:
        notes.problems += error.problems
        return None


def _entries(folder: Path, notes: Notes) -> dict[str, Path]:
    entries = list_entries(folder, notes)
    return {entry.name: Path(entry.path) for entry in entries if not entry.name.startswith(".")}


class _Reader:
    """Reads folders and collects the files that belong to no input."""

    def __init__(self) -> None:
        self._unknown: list[Problem] = []

    def report(self, folder: Path, name: str, notes: Notes, remedy: str) -> None:
        message = f"{format_value(name)} in {folder} is not an input"
        self._unknown.append(Problem(notes.path, message, remedy))

    def unknown_files(self) -> tuple[Problem, ...]:
        more = len(self._unknown) - _MAX_UNKNOWN
        if more <= 0:
            return tuple(self._unknown)
        last = Problem(self._unknown[-1].path, f"{format_count(more, 'more file')} like these")
        return (*self._unknown[:_MAX_UNKNOWN], last)

    def parameter(self, parameter: Parameter, entries: Entries, notes: Notes) -> dict[str, Any]:
        """Return the value of a parameter, and its region by its own name if there is only that."""
        name, kind = parameter.name, parameter.type
        region = entries.get(f"{name}{REGION}")
        if region is not None and not isinstance(kind, Image):
            # a geometry may have been saved with an extension: this is reported as an unknown file
            if not isinstance(kind, (Geometry, Array)) or name in entries:
                _no_region(region, kind, notes)
                return {name: self._value_of(kind, entries, name, notes), region.name: None}
            region = None
        if region is None or name not in entries:
            found = {name: self._value_of(kind, entries, name, notes)}
            return found if region is None else {**found, region.name: FileValue(region)}
        return {name: {"file": FileValue(entries[name]), "region": FileValue(region)}, region.name: None}

    def _value_of(self, kind: DataType, entries: Entries, name: str, notes: Notes) -> Any:
        return self.value(kind, entries[name], notes) if name in entries else None

    def value(self, kind: DataType, path: Path, notes: Notes) -> Any:
        if not isinstance(kind, Array):
            return FileValue(path)
        if not path.is_dir():
            notes.error(
                f"expected a folder with the items, got the file {path}", "name the items 0, 1, ... in it"
            )
            return None
        return self.items(kind, path, notes, any_names=False)

    def items(self, kind: Array, folder: Path, notes: Notes, *, any_names: bool) -> list[Any] | None:
        """Return the items in a folder; None if it has none. `any_names`: not only indexes."""
        entries = _entries(folder, notes)
        found = _numbered(kind.subtype, entries)
        metadata = entries.get(METADATA)
        if not found and any_names and entries.keys() - {METADATA}:
            return self._named(kind.subtype, folder, entries, notes)
        check_gaps(sorted(found), notes)
        if metadata is not None:
            _check_size(metadata, len(found), notes)
        items: list[Any] = []
        used = {METADATA}
        for index, path in sorted(found.items()):
            region = entries.get(f"{index}{REGION}") if isinstance(kind.subtype, Image) else None
            before, inner = len(notes.problems), notes.child(index)
            value = self.value(kind.subtype, path, inner)
            if value is None and len(notes.problems) == before:
                inner.error(f"no items in the folder {path}", "name the items 0, 1, 2, ...")
            items.append(value if region is None else {"file": value, "region": FileValue(region)})
            used |= {path.name, region.name if region else ""}
        self._report_strays(kind.subtype, folder, entries, used, notes)
        return items if items or not entries.keys() - {METADATA} else None

    def _named(self, kind: DataType, folder: Path, entries: Entries, notes: Notes) -> list[Any]:
        """Return the files of a folder in natural order, images with the region of the same name."""
        files = {name: path for name, path in entries.items() if name != METADATA}
        folders = [name for name, path in files.items() if path.is_dir()]
        if len(folders) < len(files) or not isinstance(kind, Image):  # folders alone are slides
            for name in folders:
                del files[name]
                self.report(folder, name, notes, "move its files to the folder above, or remove it")
        if not isinstance(kind, Image):
            return [FileValue(path) for path in files.values()]
        regions = {name: path for name, path in files.items() if name.endswith(REGION)}
        images = {name: path for name, path in files.items() if name not in regions}
        stems = [name.rpartition(".")[0] or name for name in images]
        found: list[Any] = []
        for name, path in images.items():
            stem = name.rpartition(".")[0] or name
            keys = [f"{name}{REGION}", *([f"{stem}{REGION}"] if stems.count(stem) == 1 else [])]
            region = next((regions.pop(key) for key in keys if key in regions), None)
            value = FileValue(path)
            found.append(value if region is None else {"file": value, "region": FileValue(region)})
        for name in regions:
            self.report(folder, name, notes, "a region needs an image of the same name")
        return found

    def _report_strays(
        self, kind: DataType, folder: Path, entries: Entries, used: set[str], notes: Notes
    ) -> None:
        for name in entries:
            stem = name.partition(".")[0]
            if name in used:
                continue
            if name == f"{stem}{REGION}" and stem in entries and is_index(stem):
                _no_region(entries[name], kind, notes.child(stem))
            elif name == f"{stem}{REGION}" and is_index(stem) and isinstance(kind, Image):
                self.report(folder, name, notes, f"a region needs its image {stem!r}")
            elif is_index(stem) and stem not in entries:
                self.report(folder, name, notes, f"name it {stem!r}, without an extension")
            else:
                self.report(folder, name, notes, "name the items 0, 1, 2, ..., or remove it")


def _numbered(kind: DataType, entries: Entries) -> dict[int, Path]:
    found = {int(name): path for name, path in entries.items() if is_index(name)}
    if isinstance(kind, Geometry):
        for name, path in entries.items():
            stem = name.removesuffix(REGION)
            if stem != name and is_index(stem):
                found.setdefault(int(stem), path)
    return found


def _check_size(path: Path, count: int, notes: Notes) -> None:
    inner = notes.child(METADATA)
    if not path.is_file():  # reading a pipe would block
        inner.error(f"{path} is not a file", "remove it")
        return
    try:
        with path.open("rb") as stream:
            size = read_array_size(stream.read(_MAX_METADATA))
    except OSError as error:
        inner.error(f"cannot read {path}: {error.strerror}", "make it readable, or remove it")
        return
    if size != count:
        shown = "missing 'size'" if size is None else f"size is {size}"
        message = f"{shown}, but the folder has {format_count(count, 'item')}"
        inner.error(message, f"write 'size: {count}' to {path}, or remove it")


def _no_region(path: Path, kind: DataType, notes: Notes) -> None:
    message = f"inputs of type {kind.id} have no region, found {path}"
    notes.error(message, "remove the file: only images have regions")


def _remedy(folder: Path, name: str, entries: Entries, inputs: Mapping[str, Parameter]) -> str:
    stem = name.partition(".")[0]
    if stem in inputs and stem not in entries:
        kind = inputs[stem].type
        if isinstance(kind, Array):
            return f"put the items into a folder: {stem}/0, {stem}/1, ..."
        return f"name it {stem!r}, without an extension"
    path = folder / name
    if path.is_dir() and any((path / one).exists() for one in inputs):
        return f"pass that folder: --inputs {path}"
    parsed = parse_region_name(name)
    if parsed is not None:
        guess = closest(parsed.parameter, inputs)
        return (
            f"did you mean {guess + REGION!r}?" if guess else f"a region needs its image {parsed.parameter!r}"
        )
    guess = did_you_mean(name, inputs) or did_you_mean(stem, [one for one in inputs if one not in entries])
    return guess or (f"expected one of: {', '.join(inputs)}" if inputs else "the task has no inputs")
