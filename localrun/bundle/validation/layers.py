"""Read the files of an image in an archive: its layers are combined without unpacking them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from localrun.bundle import cancellation
from localrun.bundle.images.compressed import (
    ZSTD,
    CorruptArchive,
    FileSpan,
    Reader,
    SliceReader,
    check_growth,
)
from localrun.bundle.images.source import ArchivedImage
from localrun.bundle.images.tar_reader import Member, TarReader
from localrun.bundle.validation.files import (
    HEAD_SIZE,
    LINK_LIMIT,
    PASSWD,
    PASSWD_LIMIT,
    ImageFile,
    absolute_path,
)

ENTRY_LIMIT = 500_000  # files and folders of one image
FOLDERS_LIMIT = 8_000_000  # folders in the paths of all files
NAMES_LIMIT = 256 << 20  # bytes of all paths and beginnings of files
_HIDDEN = ".wh."
_OPAQUE = ".wh..wh..opq"


class UnreadableLayer(Exception):
    """The layers cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class _Entry:
    member: Member
    head: bytes = b""


@dataclass(slots=True)
class _Layer:
    """The entries that one layer adds, and the paths that it hides in the layers below."""

    entries: dict[str, _Entry] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)


class LayeredFiles:
    """The files of an image. Folders exist even without an entry of their own."""

    def __init__(self, entries: Mapping[str, _Entry]) -> None:
        self._entries = entries
        self._non_empty = _folders(entries)

    def find(self, path: str) -> ImageFile | None:
        parts, here, links = _parts(path), "", 0
        while parts:
            part = parts.pop(0)
            here = posixpath.dirname(here) if part == ".." else posixpath.join(here, part)
            entry = self._entries.get(here)
            if entry is None or entry.member.kind != "symlink":
                continue
            links += 1
            if links > LINK_LIMIT:
                return None
            parts = _parts(absolute_path(entry.member.target, posixpath.dirname(f"/{here}"))) + parts
            here = ""
        return self._file(here)

    def has_entries(self, path: str) -> bool:
        found = self.find(path)
        return found is not None and found.path.lstrip("/") in self._non_empty

    def _file(self, name: str) -> ImageFile | None:
        entry = self._entries.get(name)
        for _ in range(LINK_LIMIT):  # a hard link names another member
            if entry is None or entry.member.kind != "link":
                break
            entry = self._entries.get(entry.member.target.lstrip("/"))
        if entry is None:
            return ImageFile(f"/{name}", "folder", 0o755, 0) if name in self._non_empty or not name else None
        member = entry.member
        kind = member.kind if member.kind in ("file", "folder") else "other"
        return ImageFile(f"/{name}", kind, member.mode, member.size, entry.head)


def _folders(names: Iterable[str]) -> set[str]:
    """Return all folders that are not empty."""
    found: set[str] = set()
    for name in names:
        folder = posixpath.dirname(name)
        while folder not in found:
            found.add(folder)
            folder = posixpath.dirname(folder)
    return found


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def read_layers(span: FileSpan, image: ArchivedImage) -> LayeredFiles:
    """Read and combine the layers of an image. Raises `UnreadableLayer`."""
    found: dict[str, _Layer] = {}
    wanted = set(image.layers)
    budget = _Budget(span.size)
    try:
        with span.open() as reader:
            for member in TarReader(reader):
                if member.kind == "file" and member.name in wanted:
                    found[member.name] = _layer(reader, member.size, budget)
    except CorruptArchive as error:
        raise UnreadableLayer(str(error)) from error
    return LayeredFiles(_combine([found[name] for name in image.layers if name in found]))


class _Budget:
    """Limits of all layers of an image together; `size` is that of the file in bytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._unpacked = self._entries = self._folders = self._bytes = 0

    def add_entry(self, name: str, head: bytes) -> None:
        cancellation.check()
        self._entries += 1
        self._folders += name.count("/")
        self._bytes += len(name) + len(head)
        if self._entries > ENTRY_LIMIT:
            raise UnreadableLayer(f"it has more than {ENTRY_LIMIT} files")
        if self._folders > FOLDERS_LIMIT or self._bytes > NAMES_LIMIT:
            raise UnreadableLayer("the paths of its files are too long or too deep")

    def add_layer(self, unpacked: int) -> None:
        """Check the growth of all layers: each of them alone may grow a lot, as small files do."""
        self._unpacked += unpacked
        check_growth(self._size, self._unpacked)


def _combine(layers: list[_Layer]) -> dict[str, _Entry]:
    """Return the visible entries. An image may list a layer many times; only its last place counts."""
    combined: dict[str, _Entry] = {}
    hidden: set[str] = set()
    emptied: set[str] = set()
    for layer in {id(layer): layer for layer in reversed(layers)}.values():
        cancellation.check()
        visible = layer.entries
        if hidden or emptied:
            visible = {name: one for name, one in visible.items() if not _is_hidden(name, hidden, emptied)}
        for name, entry in visible.items():
            combined.setdefault(name, entry)
        hidden |= layer.hidden
        emptied |= layer.emptied
    return combined


def _is_hidden(name: str, hidden: set[str], emptied: set[str]) -> bool:
    if name in hidden:
        return True
    while name:
        name = posixpath.dirname(name)
        if name in hidden or name in emptied:
            return True
    return False


def _layer(reader: Reader, size: int, budget: _Budget) -> _Layer:
    """Read one layer, uncompressed or compressed with gzip."""
    part = SliceReader(reader, size)
    if part.peek(4) == ZSTD:
        raise UnreadableLayer("a layer is compressed with zstd")
    layer, content = _Layer(), part.decompressed()
    for member in TarReader(content):
        head = b""
        folder, name = posixpath.split(member.name.lstrip("/"))
        if name == _OPAQUE:
            layer.emptied.add(folder)
        elif name.startswith(_HIDDEN):
            layer.hidden.add(posixpath.join(folder, name.removeprefix(_HIDDEN)))
        elif name not in ("", ".", "..") and not member.name.startswith("../"):
            head = _head(content, member)
            layer.entries[posixpath.join(folder, name)] = _Entry(member, head)
        budget.add_entry(member.name, head)
    budget.add_layer(content.position)
    return layer


def _head(reader: Reader, member: Member) -> bytes:
    if member.kind != "file":
        return b""
    if member.name.lstrip("/") == PASSWD:
        return reader.read(min(member.size, PASSWD_LIMIT))
    return reader.read(min(member.size, HEAD_SIZE)) if member.mode & 0o111 else b""
