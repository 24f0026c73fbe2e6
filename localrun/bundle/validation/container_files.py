"""Read the files of an image in an engine, through a container that is never started."""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice

from localrun.bundle.images.compressed import ChunkReader, CorruptArchive
from localrun.bundle.images.tar_reader import Member, TarReader
from localrun.bundle.validation.files import (
    HEAD_SIZE,
    LINK_LIMIT,
    PASSWD,
    PASSWD_LIMIT,
    ImageFile,
    absolute_path,
)
from localrun.engines.base import ContainerSpec, Engine, Handle
from localrun.engines.labels import container_name, inspection_labels
from localrun.errors import ContainerFileMissing, EngineError

_LARGEST = 1 << 40  # bytes; only the beginning is read


class ContainerFiles:
    """The files of a container. Created by `open_container_files`."""

    def __init__(self, engine: Engine, handle: Handle) -> None:
        self._engine = engine
        self._handle = handle

    def find(self, path: str) -> ImageFile | None:
        path = absolute_path(path)
        for _ in range(LINK_LIMIT):
            found = next(self._members(path, 1), None)
            if found is None:
                return None
            member, head = found
            if member.kind != "symlink":
                kind = member.kind if member.kind in ("file", "folder") else "other"
                return ImageFile(path, kind, member.mode, member.size, head)
            path = absolute_path(member.target, posixpath.dirname(path))
        return None

    def has_entries(self, path: str) -> bool:
        return len(list(self._members(absolute_path(path), 2))) == 2

    def _members(self, path: str, count: int) -> Iterator[tuple[Member, bytes]]:
        """Yield the first members of the archive that the engine makes of a path, and drop the rest."""
        chunks = self._engine.copy_out(self._handle, path)
        try:
            first = next(iter(chunks), b"")
            reader = ChunkReader(chain([first], chunks), _LARGEST)
            for member in islice(TarReader(reader), count):
                limit = PASSWD_LIMIT if path == f"/{PASSWD}" else HEAD_SIZE
                yield member, reader.read(min(member.size, limit)) if member.kind == "file" else b""
        except ContainerFileMissing:
            return
        except CorruptArchive as error:
            raise EngineError(f"cannot read {path} of the image: {error}") from error
        finally:
            close = getattr(chunks, "close", None)  # of a generator: closes its connection at once
            if close:
                close()


@contextmanager
def open_container_files(engine: Engine, image: str, platform: str = "") -> Iterator[ContainerFiles]:
    """Open the files of an image. Raises `EngineError`, `ImageError`."""
    task_id = f"look-{secrets.token_hex(6)}"
    name, labels = container_name(task_id), inspection_labels(task_id)
    # any command, because an engine needs one to create a container
    spec = ContainerSpec(image=image, name=name, labels=labels, entrypoint=("-",), platform=platform)
    handle = engine.create(spec)
    try:
        yield ContainerFiles(engine, handle)
    finally:
        engine.remove(handle)
