"""The folder that an image is built from, and a digest that changes when the build could."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from localrun.bundle.images import file_cache
from localrun.bundle.images.dockerignore import Ignore
from localrun.bundle.images.source import ImageFolder
from localrun.engines.base import DEFAULT_IGNORES
from localrun.errors import Cause, ImageError


@dataclass(frozen=True, slots=True)
class ContextEntry:
    """One file, link or folder below the context; `path` with `/`."""

    path: str
    status: os.stat_result
    target: str = ""

    @property
    def metadata(self) -> list[object]:
        """What a build sees of it, but for its content."""
        mode = self.status.st_mode
        return [self.path, stat.S_IFMT(mode), 0 if stat.S_ISLNK(mode) else mode & 0o7777, self.target]


def context_digest(source: ImageFolder, cache: Path) -> str:
    """SHA-256 of paths, modes, contents, link targets, the Dockerfile's name and the build arguments.

    Contents are read only when some file's times, size or place changed since the last look. Raises
    `ImageError` with IMAGE_BUILD_FAILED when a file cannot be read.
    """
    try:
        entries = list(_entries(source))
        contents = _known_contents(source.folder, entries, cache)
    except OSError as error:
        raise ImageError(
            f"{error.filename or source.folder} cannot be read: {error.strerror}",
            cause=Cause.IMAGE_BUILD_FAILED,
            remedy="make it readable, or name it in .dockerignore",
        ) from error
    return _hash([contents, source.dockerfile, sorted(source.build_args.items())])


def _known_contents(folder: Path, entries: list[ContextEntry], cache: Path) -> str:
    """The digest of everything in the folder, from the cache when no file's state has changed."""
    status = folder.stat()
    name = f"{status.st_dev:x}-{status.st_ino:x}"
    states = _hash([[entry.metadata, file_cache.file_state(entry.status)] for entry in entries])
    note = file_cache.read_entry(cache, "folders", name)
    if note and note.get("states") == states and isinstance(note.get("contents"), str):
        return str(note["contents"])
    contents = _hash([[*entry.metadata, _content(folder, entry)] for entry in entries])
    newest = max((entry.status.st_ctime_ns for entry in entries), default=0)
    if time.time_ns() - newest > file_cache.TIMESTAMP_RESOLUTION:
        file_cache.write_entry(cache, "folders", name, {"states": states, "contents": contents})
    return contents


def _content(folder: Path, entry: ContextEntry) -> str:
    if not stat.S_ISREG(entry.status.st_mode):
        return ""
    with (folder / entry.path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entries(source: ImageFolder) -> Iterator[ContextEntry]:
    ignore = _ignore(source.folder)
    always = {source.dockerfile, ".dockerignore"}
    for entry in _walk(source.folder, "", ignore):
        if entry.path in always or not ignore(entry.path):
            yield entry


def _walk(folder: Path, prefix: str, ignore: Ignore) -> Iterator[ContextEntry]:
    with os.scandir(folder) as items:
        found = sorted(items, key=lambda item: item.name)
    for item in found:
        path = prefix + item.name
        try:
            status = item.stat(follow_symlinks=False)
            target = str(Path(item.path).readlink()) if item.is_symlink() else ""
        except FileNotFoundError:  # it went just now, as files of running programs do: then it is not there
            continue
        yield ContextEntry(path, status, target)
        if item.is_dir(follow_symlinks=False) and (ignore.has_exceptions or not ignore(path)):
            with suppress(FileNotFoundError):
                yield from _walk(Path(item.path), f"{path}/", ignore)


def _ignore(folder: Path) -> Ignore:
    try:
        lines = (folder / ".dockerignore").read_text("utf-8-sig", "replace").splitlines()
    except FileNotFoundError:
        lines = []
    return Ignore([*DEFAULT_IGNORES, *lines])


def _hash(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
