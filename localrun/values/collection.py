"""Read the outputs of a task back, and say everything that is wrong with them."""

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
from localrun.values import matching
from localrun.values.untrusted import TreeEntry, UnsafePath, UntrustedDir

_MAX_ENTRIES = 100_000
_MAX_SLIDE = 10_000  # files of one whole-slide image
_MAX_EXTRAS = 20
_MAX_TEXT = 256 * 1024**2  # bytes of text that all outputs together may have
_MAX_METADATA = 64 * 1024
_HEAD = 8192


class CollectedOutputs(msgspec.Struct, frozen=True):
    """The outputs of a task: ready for JSON, files as absolute paths; `problems` of the unfit ones.

    `cause` and `message` tell more of what they mean than that outputs do not fit.
    """

    outputs: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    cause: Cause | None = None
    message: str = ""


def collect(
    descriptor: Descriptor, folder: Path, inputs: Mapping[str, Any] | None = None
) -> CollectedOutputs:
    """Read every declared output from `folder`. Nothing outside of it is touched, whatever is in it.

    `inputs` are the values that the task was given, with which some outputs may have to match.
    """
    notes = Notes("outputs")
    folder = folder.absolute()
    try:
        tree = UntrustedDir(folder, descriptor.output_folder)
    except OSError as error:
        notes.error(f"the output folder cannot be read: {error.strerror}", "let the task leave it in place")
        return CollectedOutputs({}, tuple(notes.problems))
    with tree:
        collector = _Collector(tree)
        extras = _extras(tree, descriptor.outputs, notes)
        found = {
            name: collector.output(parameter, extras, notes.child(name))
            for name, parameter in descriptor.outputs.items()
        }
    _tell_extras(extras, notes)
    matching.check_outputs(descriptor, inputs or {}, found, notes)
    outputs = {name: value for name, value in found.items() if value is not None}
    return CollectedOutputs(outputs, tuple(notes.problems), tuple(notes.warnings))


def _extras(tree: UntrustedDir, declared: Iterable[str], notes: Notes) -> list[str]:
    known = set(declared)
    try:
        return sorted(
            name for name in tree.list_names(TreeEntry((), "folder", 0), _MAX_ENTRIES) if name not in known
        )
    except UnsafePath as error:
        notes.error(str(error), error.remedy)
        return []


def _tell_extras(extras: list[str], notes: Notes) -> None:
    for name in extras[:_MAX_EXTRAS]:
        notes.warn(
            f"{name[:255]!r} is not declared; App Engine ignores it in local mode, refuses it in cluster mode"
        )
    if len(extras) > _MAX_EXTRAS:
        notes.warn(f"and {len(extras) - _MAX_EXTRAS} more that are not declared")


class _Collector:
    def __init__(self, tree: UntrustedDir) -> None:
        self.tree = tree
        self.budget = _MAX_TEXT

    def output(self, parameter: Parameter, extras: list[str], notes: Notes) -> Any:
        """One declared output; None when it is missing or unfit."""
        try:
            spot = self.tree.find((parameter.name,))
        except UnsafePath as error:
            notes.error(str(error), error.remedy)
            return None
        if spot is None:
            _tell_missing(parameter, extras, notes)
            return None
        return self.value(parameter.type, spot, notes)

    def value(self, kind: DataType, spot: TreeEntry, notes: Notes) -> Any:
        """What stands at a spot, by its type."""
        before = len(notes.problems)
        try:
            found = self._by_type(kind, spot, notes)
        except UnsafePath as error:
            notes.error(str(error), error.remedy)
        return found if len(notes.problems) == before else None

    def _by_type(self, kind: DataType, spot: TreeEntry, notes: Notes) -> Any:
        if isinstance(kind, Array):
            return self._array(kind, spot, notes)
        if isinstance(kind, Image) and spot.kind == "folder":
            return self._slide(kind, spot, notes)
        if spot.kind != "file":
            raise UnsafePath(f"is a {spot.kind}, not a file with the {kind.id}")
        if isinstance(kind, (File, Image, Geometry)):
            return self._file(kind, spot, notes)
        return self._text(kind, spot, notes)

    def _file(self, kind: DataType, spot: TreeEntry, notes: Notes) -> str:
        if isinstance(kind, Geometry):
            self._text(kind, spot, notes)
        elif isinstance(kind, Image):
            self._image(kind, spot, notes)
        elif isinstance(kind, File):
            kind.check_size(spot.size, notes)
            kind.check_head(self.tree.read(spot, _HEAD), notes)  # also shows that it can be read
        return str(self.tree.host_path(spot))

    def _image(self, kind: Image, spot: TreeEntry, notes: Notes) -> None:
        from localrun.values.image_headers.checks import check_image

        with self.tree.open(spot) as file:
            check_image(kind, file, spot.size, notes)

    def _slide(self, kind: Image, spot: TreeEntry, notes: Notes) -> str:
        from localrun.values.image_headers.checks import check_slide_folder

        found = self.tree.list_files(spot, _MAX_SLIDE)
        depth = len(spot.parts)
        if any(len(inner.parts) > depth + 1 for inner in found):
            notes.warn_divergence("image_folder_nested")
        files = (
            ("/".join(inner.parts[depth:]), partial(self.tree.open, inner), inner.size) for inner in found
        )
        check_slide_folder(kind, files, notes)
        return str(self.tree.host_path(spot))

    def _text(self, kind: DataType, spot: TreeEntry, notes: Notes) -> Any:
        text = self._decoded(kind, spot, notes)
        if text is None:
            return None
        if not text or text.isspace():
            notes.error("is blank" if spot.size else "is empty", f"let the task write the {kind.id} into it")
            return None
        return kind.to_json(kind.parse(text, notes))

    def _decoded(self, kind: DataType, spot: TreeEntry, notes: Notes) -> str | None:
        if spot.size > kind.text_limit:
            notes.error(f"has {spot.size} bytes, too many for one {kind.id}", "write the value alone")
            return None
        self.budget -= spot.size
        if self.budget < 0:
            raise UnsafePath(f"the outputs together hold more than {_MAX_TEXT} bytes of text", "use files")
        data = self.tree.read(spot, kind.text_limit)
        try:
            return trim(data.decode())
        except UnicodeDecodeError:
            notes.error(f"found {data[:20]!r}, not UTF-8 text", f"write the {kind.id} as UTF-8 text")
            return None

    def _array(self, kind: Array, spot: TreeEntry, notes: Notes) -> list[Any] | None:
        if spot.kind != "folder":
            raise UnsafePath(f"is a {spot.kind}, not a folder with the items", "write a folder")
        names = self.tree.list_names(spot, _MAX_ENTRIES)
        indexes = sorted(int(name) for name in names if _is_index(name))
        self._check_metadata(spot, "array.yml" in names, len(indexes), notes)
        _check_names(names, notes)
        _check_gaps(indexes, notes)
        kind.check_size(len(indexes), notes)
        return [self._item(kind.subtype, spot, index, notes.child(index)) for index in indexes]

    def _item(self, kind: DataType, spot: TreeEntry, index: int, notes: Notes) -> Any:
        try:
            inner = self.tree.find((*spot.parts, str(index)))
        except UnsafePath as error:
            notes.error(str(error), error.remedy)
            return None
        if inner is None:
            notes.error("went away while it was read", "let the task end its own processes")
            return None
        found = self.value(kind, inner, notes)
        if isinstance(kind, Image) and inner.kind == "folder":
            notes.warn_divergence("image_folder_array")
        if isinstance(kind, Number) and isinstance(found, str) and not self._is_java(inner):
            notes.warn_divergence("array_not_a_number")
        return found

    def _is_java(self, spot: TreeEntry) -> bool:
        return is_java_number(trim(self.tree.read(spot, _HEAD).decode()))

    def _check_metadata(self, spot: TreeEntry, is_there: bool, count: int, notes: Notes) -> None:
        inner = self.tree.find((*spot.parts, "array.yml")) if is_there else None
        remedy = f"write 'size: {count}' into array.yml"
        if inner is None or inner.kind != "file":
            notes.error("has no file array.yml", remedy)
            return
        size = _size(self.tree.read(inner, _MAX_METADATA))
        if size is None:
            notes.child("array.yml").error("has no 'size'", remedy)
        elif size != count:
            notes.child("array.yml").error(
                f"says size {format_value(size)}, but there are {count} items", remedy
            )


def _tell_missing(parameter: Parameter, extras: list[str], notes: Notes) -> None:
    if parameter.optional:
        notes.warn_divergence("output_optional")
        return
    name = parameter.name
    # the usual slip is an extension
    found = next((extra for extra in extras if extra.partition(".")[0] == name), None) or closest(
        name, extras
    )
    if found is not None:
        notes.error(f"is missing; found {found!r}", f"name it {name!r}, without an extension")
        return
    notes.error("is missing", f"let the task write {name!r} into the output folder")


def _is_index(name: str) -> bool:
    return bool(re.fullmatch(r"0|[1-9][0-9]{0,8}", name))


def _check_names(names: list[str], notes: Notes) -> None:
    for name in sorted(names)[:_MAX_ENTRIES]:
        if name == "array.yml" or _is_index(name):
            continue
        if re.fullmatch(r"[0-9]+", name):
            notes.error(f"has an item {name[:40]!r}", "name the items 0, 1, 2, ... without leading zeros")
        else:
            notes.child(repr(name[:255])).warn_divergence("array_stray")


def _check_gaps(indexes: list[int], notes: Notes) -> None:
    gap = next((place for place, index in enumerate(indexes) if index != place), None)
    if gap is not None:
        notes.child(gap).error("is missing", f"name the items 0 to {len(indexes) - 1}")


def _size(data: bytes) -> int | None:
    try:
        found = yaml.read(data, "array.yml").root.value
    except yaml.DocumentError:
        return None
    node = found.get("size") if isinstance(found, dict) else None
    value = node.value if node is not None else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
