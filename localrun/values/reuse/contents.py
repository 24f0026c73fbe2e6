"""The contents of a task's inputs and mounts, as digests for its fingerprint."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from localrun.task.file_state import FileState
from localrun.task.fingerprint import SECRETS, input_part, mount_part
from localrun.task.record import BindMount
from localrun.values.layout import InputEntry, InputLayout
from localrun.values.reuse.digests import digests_in

CHEAP = 1 << 20  # bytes of a task's files that are read although its result may never be reused
_MOST_FILES = 1000  # likewise, and the most of a mount that are looked at
_REGION = ".geojson"
_NO_SECRETS: Mapping[str, str] = {}

Source = Path | bytes  # a file, or a content


class Contents(msgspec.Struct, frozen=True):
    """The contents of a task's files, by the part of its fingerprint.

    `digests` are `0x...` for contents that were read, `~...` for files that were not, by their names in the
    task and their states, and empty for files that cannot be read, or are too many to look at. `unread` are
    those that another process computes without reading large files. `sources` are all files, in which state.
    """

    digests: dict[str, str]
    unread: dict[str, str]
    sources: tuple[tuple[str, str, FileState], ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether all contents were read."""
        return all(digest.startswith("0x") for digest in self.digests.values())

    @property
    def unread_size(self) -> int:
        """The bytes of the files that were not read."""
        return sum(state.size for part, _, state in self.sources if self.digests[part][:1] == "~")

    def confirmed(self) -> dict[str, str]:
        """Return the digests; an empty one for files that have changed since."""
        changed = {part for part, path, state in self.sources if _state(path) != state}
        return {part: "" if part in changed else digest for part, digest in self.digests.items()}


class ContentReader:
    """Reads the files of the tasks in the folder `home`; their digests are in `cache`."""

    def __init__(self, cache: Path, home: Path) -> None:
        self._digests = digests_in(cache)
        self._home = home

    def read(
        self,
        layout: InputLayout,
        mounts: Iterable[BindMount],
        secrets: Mapping[str, str] = _NO_SECRETS,
        *,
        everything: bool = False,
    ) -> Contents:
        """Return the contents of the inputs that have files, and of mounts and secrets.

        Unless `everything`, at most `CHEAP` bytes are read, beside files whose digest is known, and no mounts
        with more than 1,000 files.
        """
        budget = None if everything else _Budget()
        found: dict[str, str] = {}
        unread: dict[str, str] = {}
        sources: list[tuple[str, str, FileState]] = []
        for part, files in _parts(layout, mounts, math.inf if everything else _MOST_FILES):
            states: dict[str, FileState] = {}
            try:
                pairs = sorted(files, key=lambda pair: pair[0])
                found[part], unread[part] = self._digest(pairs, states, budget)
            except OSError:  # the task reports it, the file changes all the time, or there are too many
                found[part] = unread[part] = ""
            sources += ((part, path, state) for path, state in states.items())
        hidden = {f"{SECRETS}{name}": self._digest_secret(value) for name, value in secrets.items()}
        return Contents(found | hidden, unread | hidden, tuple(sources))

    def _digest_secret(self, value: str) -> str:
        from localrun.values.reuse.index import ReuseIndex

        try:
            return ReuseIndex(self._home).digest_secret(value)
        except OSError:
            return ""

    def _digest(
        self, pairs: list[tuple[str, Source]], states: dict[str, FileState], budget: _Budget | None
    ) -> tuple[str, str]:
        """Return the digest of files, and the one that they have if nothing is known about them."""
        unread = ""
        if budget is not None:
            for _, source in pairs:
                if not isinstance(source, bytes):
                    states[str(source)] = FileState.of(source.stat())
            if not budget.affords(states.values()):
                unread = "~" + _combined((place, _identity(source, states)) for place, source in pairs)
                if not all(map(self._digests.knows, states.values())):
                    return unread, unread
        read = "0x" + _combined((place, self._content(source, states)) for place, source in pairs)
        return read, unread or read

    def _content(self, source: Source, states: dict[str, FileState]) -> str:
        if isinstance(source, bytes):
            return hashlib.sha256(source).hexdigest()
        digest, states[str(source)] = self._digests.find(source, states.get(str(source)))
        return digest


class _Budget:
    """How much may be read."""

    def __init__(self) -> None:
        self._bytes, self._files = CHEAP, _MOST_FILES

    def affords(self, states: Iterable[FileState]) -> bool:
        sizes = [state.size for state in states]
        if sum(sizes) > self._bytes or len(sizes) > self._files:
            return False
        self._bytes, self._files = self._bytes - sum(sizes), self._files - len(sizes)
        return True


def _parts(
    layout: InputLayout, mounts: Iterable[BindMount], most_files: float
) -> Iterator[tuple[str, Iterable[tuple[str, Source]]]]:
    """Yield the parts of the fingerprint that have files: each with its place and its source."""
    groups: dict[str, list[InputEntry]] = {}
    for entry in layout.entries:
        groups.setdefault(_name(entry.target, layout.values), []).append(entry)
    cropped = {place.partition("/")[0] for place in layout.crops}
    for name, entries in groups.items():
        if name in cropped or any(entry.kind in ("copy", "mount", "unpack") for entry in entries):
            kept = (entry for entry in entries if entry.kind != "folder")
            yield (
                input_part(name),
                ((one.target, one.content if one.kind == "text" else one.source) for one in kept),
            )
    for mount in mounts:
        yield mount_part(mount.target), _mounted(Path(mount.source), most_files)


def _name(target: str, inputs: Mapping[str, object]) -> str:
    """Return the input that a path of the input folder belongs to; a region belongs to its image."""
    head = target.partition("/")[0]
    return head if head in inputs else head.removesuffix(_REGION)


def _mounted(source: Path, most: float) -> Iterator[tuple[str, Source]]:
    """Yield the files of a mounted path. Reading fails for anything but files, folders and links.

    Raises `OSError` if there are more than `most`.
    """
    if not source.is_dir():
        yield "", source
        return
    for path, folders, names in os.walk(source):
        most -= len(folders) + len(names)
        if most < 0:
            raise OSError(errno.EFBIG, "too many files", str(source))
        for name in (*names, *folders):
            file = Path(path, name)
            mode = file.lstat().st_mode
            content: Source = file
            if stat.S_ISLNK(mode):
                content = f"link to {file.readlink()}".encode("utf-8", "surrogateescape")
            elif stat.S_ISDIR(mode):
                content = b"folder"
            yield str(file.relative_to(source)), content


def _identity(source: Source, states: Mapping[str, FileState]) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    return msgspec.json.encode(states[str(source)]).decode()


def _combined(files: Iterable[tuple[str, str]]) -> str:
    text = "".join(f"{place}\0{digest}\0" for place, digest in files)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _state(path: str) -> FileState | None:
    try:
        return FileState.of(os.stat(path))  # noqa: PTH116 - hot
    except OSError:
        return None
