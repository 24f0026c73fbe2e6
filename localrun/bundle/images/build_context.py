"""Compute a digest of a build context, which changes whenever the build result could change."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from localrun.bundle.images import file_cache
from localrun.bundle.images.dockerignore import Ignore
from localrun.bundle.images.source import ImageFolder
from localrun.engines.base import DEFAULT_IGNORES
from localrun.errors import Cause, ImageError

# the errors of a path that was deleted or replaced: by a folder, a link, a socket or another kind of file
_REPLACED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class ContextEntry:
    """One file, link or folder below the context; `path` is relative, with `/`."""

    path: str
    status: os.stat_result
    target: str = ""

    @property
    def metadata(self) -> list[object]:
        """The metadata that a build can see."""
        mode = self.status.st_mode
        return [self.path, stat.S_IFMT(mode), 0 if stat.S_ISLNK(mode) else mode & 0o7777, self.target]


def context_digest(source: ImageFolder, cache: Path) -> str:
    """Return the SHA-256 of paths, modes, contents, link targets and the build's options.

    Contents are read only if a file's times, size or location changed since the last call. Raises
    `ImageError` with cause IMAGE_BUILD_FAILED if a file cannot be read.
    """
    try:
        entries = list(_entries(source))
        contents = _contents_digest(source.folder, entries, cache)
    except OSError as error:
        raise ImageError(
            f"cannot read {error.filename or source.folder}: {error.strerror}",
            cause=Cause.IMAGE_BUILD_FAILED,
            remedy="make it readable, or add it to .dockerignore",
        ) from error
    options = [
        source.dockerfile,
        source.target,
        *map(sorted, (source.build_args.items(), source.contexts.items())),
    ]
    return _hash([contents, *options])


def _contents_digest(folder: Path, entries: list[ContextEntry], cache: Path) -> str:
    """Return the digest of all files, from the cache if no file has changed."""
    status = folder.stat()
    name = f"{status.st_dev:x}-{status.st_ino:x}"
    states = _hash([[entry.metadata, file_cache.file_state(entry.status)] for entry in entries])
    cached = file_cache.read_entry(cache, "folders", name)
    if cached and cached.get("states") == states and isinstance(cached.get("contents"), str):
        return str(cached["contents"])
    contents = _hash([[*entry.metadata, content] for entry, content in _read(folder, entries)])
    newest = max((entry.status.st_ctime_ns for entry in entries), default=0)
    if time.time_ns() - newest > file_cache.TIMESTAMP_RESOLUTION:
        file_cache.write_entry(cache, "folders", name, {"states": states, "contents": contents})
    return contents


def _read(folder: Path, entries: list[ContextEntry]) -> Iterator[tuple[ContextEntry, str]]:
    """Yield the entries that still exist, with the digests of their contents."""
    for entry in entries:
        content = _content(folder, entry)
        if content is not None:
            yield entry, content


def _content(folder: Path, entry: ContextEntry) -> str | None:
    if not stat.S_ISREG(entry.status.st_mode):
        return ""
    file = open_file(folder / entry.path)
    if file is None:
        return None
    with file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_file(path: Path) -> BufferedReader | None:
    """Open a file for reading; None if it was deleted, or replaced by something else, after the listing.

    Raises `OSError` for other reasons, e.g. missing permissions.
    """
    try:
        # a pipe that replaced the file must not block
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        if error.errno in _REPLACED:
            return None
        raise
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    return None


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
        except OSError as error:
            if error.errno in _REPLACED:  # after the listing, e.g. by a running program
                continue
            raise
        yield ContextEntry(path, status, target)
        if item.is_dir(follow_symlinks=False) and (ignore.has_exceptions or not ignore(path)):
            with suppress(FileNotFoundError, NotADirectoryError):
                yield from _walk(Path(item.path), f"{path}/", ignore)


def _ignore(folder: Path) -> Ignore:
    try:
        lines = (folder / ".dockerignore").read_text("utf-8-sig", "replace").splitlines()
    except FileNotFoundError:
        lines = []
    return Ignore([*DEFAULT_IGNORES, *lines])


def _hash(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
