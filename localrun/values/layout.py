"""Check the inputs and plan what to write, before anything is written."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

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
    trim,
)
from localrun.errors import InputsError
from localrun.suggestions import closest
from localrun.values import matching
from localrun.values.parsing import FileValue, expand_path, load_list, unknown_input
from localrun.values.untrusted import kind_of

_HEAD = 8192  # bytes that are checked for binary data
_MAX_SIBLINGS = 500
_FILES = (File, Image, Geometry)


class InputEntry(msgspec.Struct, frozen=True):
    """A path to create in the input folder: a folder, a text, a file, or the files of a zip."""

    target: str
    kind: Literal["folder", "text", "copy", "mount", "unpack"]
    content: bytes = b""
    source: Path = Path()


class InputLayout(msgspec.Struct):
    """Everything to write, the values as JSON, and notes on the defaults in use."""

    values: dict[str, Any] = msgspec.field(default_factory=dict)
    entries: list[InputEntry] = msgspec.field(default_factory=list)
    defaults_used: list[str] = msgspec.field(default_factory=list)


def plan_inputs(
    descriptor: Descriptor,
    values: Mapping[str, Any],
    notes: Notes,
    *,
    copy: bool,
    invalid: Collection[str] = (),
) -> InputLayout:
    """Check every value and plan its files. Adds problems to `notes`.

    The inputs in `invalid` are skipped: their problems are known already.
    """
    layout = InputLayout()
    notes.problems += [
        unknown_input(str(name), descriptor) for name in values if name not in descriptor.inputs
    ]
    planner = _Planner(layout, copy)
    for name, parameter in descriptor.inputs.items():
        if name in invalid:
            continue
        inner = notes.child(name)
        found = _value_of(parameter, values, layout, inner)
        if found is not None:
            layout.values[name] = planner.add(parameter.type, name, found, inner)
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

    def __init__(self, layout: InputLayout, copy: bool) -> None:
        self.entries = layout.entries
        self.copy = copy

    def add(self, kind: DataType, target: str, value: Any, notes: Notes) -> Any:
        """Plan the files of one value. Return the value as JSON."""
        if isinstance(kind, Array):
            return self._array(kind, target, value, notes)
        if isinstance(kind, (File, Image)):
            path = _path_of(value)
            return kind.validate(value, notes) if path is None else self._file(kind, target, path, notes)
        if isinstance(value, (FileValue, Path)):
            path = _path_of(value) or Path()
            if isinstance(kind, Geometry):
                return self._file(kind, target, path, notes)
            return self._text(kind, target, _read_value(kind, path, notes))
        return self._text(kind, target, kind.validate(value, notes))

    def _text(self, kind: DataType, target: str, value: Any) -> Any:
        if value is None:
            return None
        # text that cannot be encoded has been reported
        self.entries.append(InputEntry(target, "text", kind.to_text(value).encode(errors="replace")))
        return kind.to_json(value)

    def _array(self, kind: Array, target: str, value: Any, notes: Notes) -> Any:
        if isinstance(value, (FileValue, Path)):
            value = _items_of(kind, _path_of(value) or Path(), notes)
            if value is None:
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
        status = _status(path, notes)
        if status is None:
            return None
        if stat.S_ISDIR(status.st_mode) and isinstance(kind, Image):
            self._slide(kind, target, path, notes)
        elif not stat.S_ISREG(status.st_mode):
            notes.error(f"expected a file, got the {kind_of(status.st_mode)} {path}", "use a regular file")
        elif _is_readable(path, notes):
            self._regular(kind, target, path, status, notes)
        return str(path)

    def _regular(self, kind: DataType, target: str, path: Path, status: os.stat_result, notes: Notes) -> None:
        if isinstance(kind, Geometry):
            _read_value(kind, path, notes)
        elif isinstance(kind, Image) and self._image(kind, target, path, notes):
            return
        elif isinstance(kind, File):
            kind.check_size(status.st_size, notes)
            kind.check_head(_head(path) if kind.formats == ("text",) else b"", notes)
        # a mounted file must be readable for any user of the container
        mountable = bool(status.st_mode & stat.S_IROTH) and not self.copy
        source = Path(os.path.realpath(path))
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
            (entry.target[len(target) + 1 :], partial(_open, entry.source), entry.source.stat().st_size)
            for entry in copies
        )
        if len(notes.problems) == before:
            check_slide_folder(kind, files, notes)

    def _folder(self, target: str, path: Path, notes: Notes) -> None:
        self.entries.append(InputEntry(target, "folder"))
        for entry in _listing(path, notes):
            inner, place = Path(entry.path), f"{target}/{entry.name}"
            if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
                notes.error(f"{inner} is neither a file nor a folder", "remove it from the folder")
            elif entry.is_dir():
                self._folder(place, inner, notes)
            elif _is_readable(inner, notes):
                self.entries.append(InputEntry(place, "copy", source=inner))


def _path_of(value: Any) -> Path | None:
    if isinstance(value, FileValue):
        return Path(os.path.abspath(value.path))  # noqa: PTH100 - keeps links
    if isinstance(value, str) and value:
        value = expand_path(value)
    return Path(os.path.abspath(value)) if isinstance(value, os.PathLike) else None  # noqa: PTH100


def _status(path: Path, notes: Notes) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        notes.error(f"cannot open {format_value(str(path))}: {reason}", _nearby(path))
        return None


def _nearby(path: Path) -> str:
    try:
        names = [entry.name for entry, _ in zip(os.scandir(path.parent), range(_MAX_SIBLINGS), strict=False)]
    except (OSError, ValueError):
        return "check the path"
    found = closest(path.name, names)
    return f"did you mean {str(path.with_name(found))!r}?" if found else "check the path"


def _is_readable(path: Path, notes: Notes) -> bool:
    if os.access(path, os.R_OK):
        return True
    notes.error(f"permission denied: {path}", "make it readable, e.g. with `chmod u+r`")
    return False


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _head(path: Path) -> bytes:
    with _open(path) as stream:
        return stream.read(_HEAD)


def _read_value(kind: DataType, path: Path, notes: Notes) -> Any:
    """Return the value in a file, by the rules of outputs; None if it is invalid."""
    status = _status(path, notes)
    if status is None:
        return None
    is_file = stat.S_ISREG(status.st_mode)
    if not is_file or status.st_size > kind.text_limit:
        message = f"expected a file, got the {kind_of(status.st_mode)} {path}"
        notes.error(f"{path} is too large" if is_file else message, f"use a file with one {kind.id}")
        return None
    return _decoded(kind, path, notes) if _is_readable(path, notes) else None


def _decoded(kind: DataType, path: Path, notes: Notes) -> Any:
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        notes.error(f"{path} is not UTF-8 text", "save it as UTF-8")
        return None
    return kind.parse(trim(text), notes)


def _items_of(kind: Array, path: Path, notes: Notes) -> list[Any] | None:
    """Return the items at a path: the files of a folder, one file, or the list in a file."""
    status = _status(path, notes)
    if status is None:
        return None
    of_files = isinstance(kind.subtype, _FILES)
    if stat.S_ISDIR(status.st_mode) and of_files:
        return [FileValue(Path(entry.path)) for entry in _listing(path, notes) if _is_item(entry)]
    if not stat.S_ISREG(status.st_mode):
        message = f"expected a file with a list, got the {kind_of(status.st_mode)} {path}"
        notes.error(message, "use a JSON or YAML file")
        return None
    return [FileValue(path)] if of_files else _loaded(path, notes)


def _loaded(path: Path, notes: Notes) -> Any:
    try:
        return load_list(path)
    except InputsError as error:
        notes.problems += error.problems
        return None


def _is_item(entry: os.DirEntry[str]) -> bool:
    return entry.is_file() and not entry.name.startswith(".")


def _listing(path: Path, notes: Notes) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: list(_natural(entry.name)))
    except OSError as error:
        notes.error(f"cannot list {path}: {error.strerror}", "make it readable, e.g. with `chmod u+rx`")
        return []


def _natural(name: str) -> Iterator[tuple[int, str]]:
    """Return a sort key that puts `img2` before `img10`."""
    for part in re.split(r"([0-9]+)", name):
        yield (int(part), "") if part.isascii() and part.isdigit() else (-1, part.casefold())
