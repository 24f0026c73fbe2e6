"""Compute a digest of a build context, which changes whenever the build result could change."""

from __future__ import annotations

import hashlib
import json
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from localrun import fs
from localrun.bundle.images import file_cache
from localrun.bundle.images.file_digests import FileDigests
from localrun.bundle.images.source import ImageFolder
from localrun.engines.base import Progress, no_progress
from localrun.engines.context.files import BuildContext, ContextFile, open_file, read_error
from localrun.engines.context.packing import CHUNK, read_capability

READING = "reading the build context"
_LARGE = 16 << 20  # bytes; less is read at once


def context_digest(
    source: ImageFolder,
    cache: Path,
    contexts: Mapping[str, str] | None = None,
    progress: Progress = no_progress,
) -> str:
    """Return the SHA-256 of paths, modes, contents, link targets, the Dockerfile and the build's options.

    Paths that the task mounts are left out: their changes need no build.
    `contexts` are the build contexts with the ids of their images; default: as in `source`. A file is read
    only if its times, size or location changed since the last call; `progress` receives the bytes if they
    are many, and may raise. Raises `ImageError` with cause IMAGE_BUILD_FAILED if a file cannot be read.
    """
    context = BuildContext(source.folder, source.dockerfile)
    files = [file for file in context.files() if not source.is_mounted(file.path)]
    try:
        contents = _contents_digest(source.folder, files, cache, progress)
        dockerfile = _dockerfile_digest(context)
    except OSError as error:
        raise read_error(source.folder, error) from error
    given = source.contexts if contexts is None else contexts
    options = [source.target, sorted(source.build_args.items()), sorted(given.items())]
    return _hash([contents, dockerfile, *options, *([source.mounted] if source.mounted else [])])


def _dockerfile_digest(context: BuildContext) -> str:
    """Return the digest of the Dockerfile, which may be excluded or outside; empty if it does not exist."""
    try:
        return hashlib.sha256(fs.read_regular(context.dockerfile)).hexdigest()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""  # reported by the build


def _contents_digest(folder: Path, files: list[ContextFile], cache: Path, progress: Progress) -> str:
    """Return the digest of all files, from the cache if no file has changed."""
    status = folder.stat()
    name = f"{status.st_dev:x}-{status.st_ino:x}"
    states = _hash([[_metadata(file), file_cache.file_state(file.status)] for file in files])
    cached = file_cache.read_entry(cache, "folders", name)
    if cached and cached.get("states") == states and isinstance(cached.get("contents"), str):
        return str(cached["contents"])
    known = FileDigests(cache, name)
    reader = _Reader(folder, files, progress, known)
    contents = _hash([[*_metadata(file), content] for file, content in reader.read()])
    known.save()
    newest = max((file.status.st_ctime_ns for file in files), default=0)
    if time.time_ns() - newest > file_cache.TIMESTAMP_RESOLUTION:
        file_cache.write_entry(cache, "folders", name, {"states": states, "contents": contents})
    return contents


def _metadata(file: ContextFile) -> list[object]:
    """Return the metadata that a build can see."""
    mode = file.status.st_mode
    return [file.path, stat.S_IFMT(mode), 0 if stat.S_ISLNK(mode) else mode & 0o7777, file.target]


class _Reader:
    """Reads the files of a context and reports the bytes if they are large."""

    def __init__(
        self, folder: Path, files: list[ContextFile], progress: Progress, known: FileDigests
    ) -> None:
        self._folder = folder
        self._files = files
        self._known = known
        self._done = 0
        regular = [file for file in files if stat.S_ISREG(file.status.st_mode)]
        self._total = sum(file.status.st_size for file in regular)
        unknown = sum(file.status.st_size for file in regular if not known.find(file))
        self._progress = progress if unknown >= _LARGE else no_progress

    def read(self) -> Iterator[tuple[ContextFile, str]]:
        """Yield the files that still exist, with the digests of their contents."""
        for file in self._files:
            content = self._content(file)
            if content is not None:
                yield file, content

    def _content(self, file: ContextFile) -> str | None:
        if not stat.S_ISREG(file.status.st_mode):
            return ""
        if found := self._known.find(file):
            self._known.keep(file, found)
            self._report(file.status.st_size)
            return found
        opened = open_file(self._folder / file.path)
        if opened is None:
            return None
        digest = hashlib.sha256()
        with opened:
            while data := opened.read(CHUNK):
                digest.update(data)
                self._report(len(data))
        found = digest.hexdigest() + read_capability(self._folder / file.path).hex()
        self._known.keep(file, found)
        return found

    def _report(self, count: int) -> None:
        self._done += count
        self._progress(READING, self._done, self._total)


def _hash(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
