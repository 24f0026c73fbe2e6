"""Read the outputs of a task and report every problem with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from localrun.descriptor import Descriptor, Parameter, yaml
from localrun.descriptor.types import (
    Array,
    DataType,
    File,
    Geometry,
    Image,
    Notes,
    Number,
    format_value,
    trim,
)
from localrun.descriptor.types.numeric import is_java_number
from localrun.errors import Cause, Problem
from localrun.suggestions import closest
from localrun.undecodable import quote
from localrun.units import format_count
from localrun.values import matching
from localrun.values.coordinates import links
from localrun.values.coordinates.folding import fold_problems, fold_warnings
from localrun.values.untrusted import ROOT, TreeEntry, UnsafePath, UntrustedDir

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_MAX_ENTRIES = 100_000
_MAX_SLIDE_FILES = 10_000  # of one whole-slide image
_MAX_EXTRAS = 20
_MAX_TEXT = 256 * 1024**2  # bytes of text in all outputs together
_MAX_METADATA = 64 * 1024
_HEAD = 8192


class CollectedOutputs(msgspec.Struct, frozen=True):
    """The valid outputs of a task, ready for JSON (files as absolute paths), and problems of the others.

    `cause` and `message` are set if they say more than that an output is invalid.
    """

    outputs: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    cause: Cause | None = None
    message: str = ""


def collect(
    descriptor: Descriptor,
    folder: Path,
    inputs: Mapping[str, Any] | None = None,
    regions: Mapping[str, Mapping[str, Any]] | None = None,
    crops: Mapping[str, str] | None = None,
) -> CollectedOutputs:
    """Read every declared output from `folder`. No link in it is followed to the outside.

    `inputs` are the task's input values, which some outputs must match. Geometries are compared with the
    input images and the `regions` next to them (see `TaskRecord`). `crops` are paths of images that the
    task got instead of the whole ones, with the same keys.
    """
    notes = Notes("outputs")
    folder = folder.absolute()
    try:
        tree = UntrustedDir(folder, descriptor.output_folder)
    except OSError as error:
        notes.error(f"cannot read the output folder: {error.strerror}", "keep the output folder in place")
        return CollectedOutputs({}, tuple(notes.problems))
    with tree:
        collector = _Collector(tree)
        extras = _extras(tree, descriptor.outputs, notes)
        found = {
            name: collector.output(parameter, extras, notes.child(name))
            for name, parameter in descriptor.outputs.items()
        }
        geometries = links.geometry_names(descriptor.outputs)
        if geometries:
            from localrun.values.coordinates.check import check_outputs

            given = links.Values(inputs or {}, found, crops or {})
            check_outputs(descriptor, tree, given, regions or {}, notes)
    _warn_of_extras(extras, notes)
    matching.check_outputs(descriptor, inputs or {}, found, notes)
    outputs = {name: value for name, value in found.items() if value is not None}
    problems = fold_problems(notes.problems, "outputs", geometries)
    return CollectedOutputs(outputs, tuple(problems), tuple(fold_warnings(notes.warnings, "outputs")))


def _extras(tree: UntrustedDir, declared: Iterable[str], notes: Notes) -> list[str]:
    known = set(declared)
    try:
        return sorted(name for name in tree.list_names(ROOT, _MAX_ENTRIES) if name not in known)
    except UnsafePath as error:
        notes.error(str(error), error.remedy)
        return []


def _warn_of_extras(extras: list[str], notes: Notes) -> None:
    servers = "App Engine's local mode ignores it, its cluster mode refuses it"
    for name in extras[:_MAX_EXTRAS]:
        notes.warn(f"undeclared output {quote(name[:255])}; {servers}")
    if len(extras) > _MAX_EXTRAS:
        notes.warn(f"{len(extras) - _MAX_EXTRAS} more undeclared outputs")


class _Collector:
    def __init__(self, tree: UntrustedDir) -> None:
        self.tree = tree
        self.budget = _MAX_TEXT

    def output(self, parameter: Parameter, extras: list[str], notes: Notes) -> Any:
        """Return one declared output; None if it is missing or invalid."""
        try:
            entry = self.tree.find((parameter.name,))
        except UnsafePath as error:
            notes.error(str(error), error.remedy)
            return None
        if entry is None:
            _report_missing(parameter, extras, notes)
            return None
        return self.value(parameter.type, entry, notes)

    def value(self, kind: DataType, entry: TreeEntry, notes: Notes) -> Any:
        """Return the value of an entry by its type; None if it is invalid."""
        before = len(notes.problems)
        try:
            found = self._by_type(kind, entry, notes)
        except UnsafePath as error:
            notes.error(str(error), error.remedy)
        return found if len(notes.problems) == before else None

    def _by_type(self, kind: DataType, entry: TreeEntry, notes: Notes) -> Any:
        if isinstance(kind, Array):
            return self._array(kind, entry, notes)
        if isinstance(kind, Image) and entry.kind == "folder":
            return self._slide(kind, entry, notes)
        if entry.kind != "file":
            raise UnsafePath(f"expected a file, got a {entry.kind}")
        if isinstance(kind, (File, Image, Geometry)):
            return self._file(kind, entry, notes)
        return self._text(kind, entry, notes)

    def _file(self, kind: DataType, entry: TreeEntry, notes: Notes) -> str:
        if isinstance(kind, Geometry):
            self._text(kind, entry, notes)
        elif isinstance(kind, Image):
            self._image(kind, entry, notes)
        elif isinstance(kind, File):
            kind.check_size(entry.size, notes)
            if kind.formats:
                kind.check_head(self.tree.read(entry, _HEAD), notes)
            else:
                self.tree.check_readable(entry)
        return self.tree.host_text(entry)

    def _image(self, kind: Image, entry: TreeEntry, notes: Notes) -> None:
        from localrun.values.image_headers.checks import check_image

        with self.tree.open(entry) as file:
            check_image(kind, file, entry.size, notes)

    def _slide(self, kind: Image, entry: TreeEntry, notes: Notes) -> str:
        from localrun.values.image_headers.checks import check_slide_folder

        found = self.tree.list_files(entry, _MAX_SLIDE_FILES)
        depth = len(entry.parts)
        if any(len(file.parts) > depth + 1 for file in found):
            notes.warn_divergence("image_folder_nested")
        files = (("/".join(file.parts[depth:]), partial(self.tree.open, file), file.size) for file in found)
        check_slide_folder(kind, files, notes)
        return str(self.tree.host_path(entry))

    def _text(self, kind: DataType, entry: TreeEntry, notes: Notes) -> Any:
        text = self._decoded(kind, entry, notes)
        if text is None:
            return None
        if not text or text.isspace():
            notes.error("blank file" if entry.size else "empty file", f"write the {kind.id} to it")
            return None
        return kind.to_json(kind.parse(text, notes))

    def _decoded(self, kind: DataType, entry: TreeEntry, notes: Notes) -> str | None:
        if entry.size > kind.text_limit:
            notes.error(f"has {entry.size} bytes, too many for one {kind.id}", "write only the value")
            return None
        self.budget -= entry.size
        if self.budget < 0:
            raise UnsafePath(f"all outputs together have more than {_MAX_TEXT} bytes of text", "use files")
        data = self.tree.read(entry, kind.text_limit)
        try:
            return trim(data.decode())
        except UnicodeDecodeError:
            notes.error(f"expected UTF-8 text, got {data[:20]!r}", f"write the {kind.id} as UTF-8")
            return None

    def _array(self, kind: Array, entry: TreeEntry, notes: Notes) -> list[Any] | None:
        if entry.kind != "folder":
            raise UnsafePath(f"expected a folder with the items, got a {entry.kind}", "write a folder")
        names = self.tree.list_names(entry, _MAX_ENTRIES)
        items = set(filter(is_index, names))
        indexes = sorted(map(int, items))
        self._check_metadata(entry, "array.yml" in names, len(indexes), notes)
        _check_names(set(names) - items, notes)
        check_gaps(indexes, notes)
        kind.check_size(len(indexes), notes)
        return [self._item(kind.subtype, entry, str(index), notes.child(index)) for index in indexes]

    def _item(self, kind: DataType, folder: TreeEntry, name: str, notes: Notes) -> Any:
        try:
            entry = self.tree.find_in(folder, name)
        except UnsafePath as error:
            notes.error(str(error), error.remedy)
            return None
        if entry is None:
            notes.error("removed while it was read", "wait for all processes of the task before it exits")
            return None
        found = self.value(kind, entry, notes)
        if isinstance(kind, Image) and entry.kind == "folder":
            notes.warn_divergence("image_folder_array")
        if isinstance(kind, Number) and isinstance(found, str) and not self._is_java(entry):
            notes.warn_divergence("array_not_a_number")
        return found

    def _is_java(self, entry: TreeEntry) -> bool:
        return is_java_number(trim(self.tree.read(entry, _HEAD).decode()))

    def _check_metadata(self, folder: TreeEntry, exists: bool, count: int, notes: Notes) -> None:
        entry = self.tree.find((*folder.parts, "array.yml")) if exists else None
        remedy = f"write 'size: {count}' to array.yml"
        if entry is None or entry.kind != "file":
            notes.error("missing array.yml", remedy)
            return
        size = read_array_size(self.tree.read(entry, _MAX_METADATA))
        if size is None:
            notes.child("array.yml").error("missing 'size'", remedy)
        elif size != count:
            message = f"size is {format_value(size)}, but the folder has {format_count(count, 'item')}"
            notes.child("array.yml").error(message, remedy)


def _report_missing(parameter: Parameter, extras: list[str], notes: Notes) -> None:
    if parameter.optional:
        notes.warn_divergence("output_optional")
        return
    name = parameter.name
    # a frequent mistake is an extension
    found = next((extra for extra in extras if extra.partition(".")[0] == name), None)
    found = found or closest(name, extras)
    if found is not None:
        notes.error(f"missing output (found {quote(found)})", f"name it {name!r}, without an extension")
        return
    notes.error("missing output", f"write {name!r} to the output folder")


def is_index(name: str) -> bool:
    """Return whether a file name is that of an item: `0`, `1`, ..., without leading zeros."""
    return _INDEX.fullmatch(name) is not None


def _check_names(names: set[str], notes: Notes) -> None:
    """Report the names that are not those of items."""
    for name in sorted(names - {"array.yml"}):
        if re.fullmatch(r"[0-9]+", name):
            notes.error(
                f"invalid item name {quote(name[:40])}", "name the items 0, 1, 2, ... (no leading zeros)"
            )
        else:
            notes.child(quote(name[:255])).warn_divergence("array_stray")


def check_gaps(indexes: list[int], notes: Notes) -> None:
    """Report the first of 0, 1, 2, ... that is not among the sorted indexes."""
    gap = next((expected for expected, index in enumerate(indexes) if index != expected), None)
    if gap is not None:
        notes.child(gap).error("missing item", f"name the items 0 to {len(indexes) - 1}")


def read_array_size(data: bytes) -> int | None:
    """Return the size in the text of an `array.yml`; None if it has none."""
    try:
        found = yaml.read(data, "array.yml").root.value
    except yaml.DocumentError:
        return None
    node = found.get("size") if isinstance(found, dict) else None
    value = node.value if node is not None else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
