"""The digests of the files of a build context, so that one changed file does not mean to read all of them."""

from __future__ import annotations

import time
from pathlib import Path

from localrun.bundle.images import file_cache
from localrun.engines.context.files import ContextFile

_KIND = "files"
_SIZE_LIMIT = 64 << 20  # bytes of one entry
_ENTRY_LIMIT = 16  # contexts
_FILE_LIMIT = 200_000  # files of one context, the first ones


class FileDigests:
    """The digests of the last call for a context, and those of this call, by path."""

    def __init__(self, cache: Path, name: str) -> None:
        self._cache, self._name = cache, name
        entry = file_cache.read_entry(cache, _KIND, name, limit=_SIZE_LIMIT)
        files = entry.get("files") if entry else None
        self._before: dict[str, list[object]] = files if isinstance(files, dict) else {}
        self._now: dict[str, list[object]] = {}
        self._started = time.time_ns()

    def find(self, file: ContextFile) -> str:
        """Return the digest of a file in this state; empty if it is not known."""
        known = self._before.get(file.path)
        if not isinstance(known, list) or known[:-1] != file_cache.file_state(file.status):
            return ""
        return known[-1] if isinstance(known[-1], str) else ""

    def keep(self, file: ContextFile, digest: str) -> None:
        """Note a digest, unless a further change of the file might leave its times as they are."""
        is_old = self._started - file.status.st_ctime_ns > file_cache.TIMESTAMP_RESOLUTION
        if is_old and len(self._now) < _FILE_LIMIT:
            self._now[file.path] = [*file_cache.file_state(file.status), digest]

    def save(self) -> None:
        """Save the digests of this call."""
        file_cache.write_entry(self._cache, _KIND, self._name, {"files": self._now}, most=_ENTRY_LIMIT)
