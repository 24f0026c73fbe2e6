"""Digests of files, cached by device, inode, size, and the times of their content and status."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import NoReturn, cast

from localrun import fs
from localrun.bundle.images import file_cache
from localrun.task.file_state import FileState

_SMALL = 64 * 1024  # bytes; reading a smaller file is as fast as reading its digest
_ATTEMPTS = 3  # to read a file that does not change in between
_MOST = 10_000  # digests in memory


@lru_cache(maxsize=4)
def digests_in(cache: Path) -> ContentDigests:
    """Return the digests of a cache, which all parts of this process share."""
    return ContentDigests(cache)


class ContentDigests:
    """The digests of files that were read by this process, and by others that share `cache`."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known: dict[FileState, str] = {}

    def find(self, path: Path | str, expected: FileState | None = None) -> tuple[str, FileState]:
        """Return the SHA-256 of a file as `0x...`, and the state in which it was read.

        Raises `OSError` if it is not a readable regular file, changes all the time, or is not in the
        `expected` state.
        """
        state = FileState.of(os.stat(path))  # noqa: PTH116 - hot
        if expected in (None, state) and (known := self._known.get(state)):
            return known, state
        for _ in range(_ATTEMPTS):
            with cast("BufferedReader", fs.open_regular(path)) as file:
                status = os.fstat(file.fileno())
                state = FileState.of(status)
                if expected is not None and state != expected:
                    break
                digest = self._load(status)
                if not digest:
                    digest = f"0x{hashlib.file_digest(file, 'sha256').hexdigest()}"
                    if FileState.of(os.fstat(file.fileno())) != state:
                        continue
                    self._save(status, digest)
                self._keep(state, digest)
                return digest, state
        raise OSError(errno.EBUSY, "the file has changed", str(path))

    def knows(self, state: FileState) -> bool:
        """Return whether a file in this state was read by this process, which is fast to find out."""
        return state in self._known

    def add(self, state: FileState, digest: str) -> None:
        """Note the digest of a file that only localrun writes, which was verified otherwise."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[state] = digest

    def find_content(self, path: Path) -> str:
        """Return the digest of a file, or of a folder with all names and files in it. Raises `OSError`."""
        if not path.is_dir():
            return self.find(path)[0]
        hashed = hashlib.sha256()
        for folder, inner, names in os.walk(path, onerror=_raise):
            inner.sort()
            for name in sorted(names):
                file = Path(folder, name)
                line = f"{file.relative_to(path)}\0{self.find(file)[0]}\0"
                hashed.update(line.encode("utf-8", "surrogateescape"))
        return f"0x{hashed.hexdigest()}"

    def _keep(self, state: FileState, digest: str) -> None:
        if time.time_ns() - max(state.mtime_ns, state.ctime_ns) <= file_cache.TIMESTAMP_RESOLUTION:
            return  # a further write may leave this state
        self.add(state, digest)

    def _load(self, status: os.stat_result) -> str:
        if status.st_size < _SMALL:
            return ""
        facts = file_cache.load_facts(self._cache, _kind(status), status)
        found = facts.get("sha256") if facts else None
        return found if isinstance(found, str) else ""

    def _save(self, status: os.stat_result, digest: str) -> None:
        if status.st_size >= _SMALL:
            file_cache.save_facts(self._cache, _kind(status), status, {"sha256": digest})


def _raise(error: OSError) -> NoReturn:
    raise error


def _kind(status: os.stat_result) -> str:
    """Return one of 256 folders of the cache, each of which is limited."""
    return f"digests/{status.st_ino & 0xFF:02x}"
