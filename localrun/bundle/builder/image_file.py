"""Image archives as uncompressed files: saved by an engine, or decompressed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from localrun.bundle.images.archive import inspect
from localrun.bundle.images.compressed import CHUNK, CorruptArchive, FileSpan
from localrun.bundle.images.source import ImageArchive
from localrun.engines.base import Engine, EngineImage, Progress
from localrun.errors import ImageError

SAVING, UNPACKING = "saving the image", "unpacking the image"


@contextmanager
def saved_image(
    engine: Engine, image: EngineImage, name: str, file: Path, progress: Progress
) -> Iterator[ImageArchive]:
    """Save an image of an engine to `file` for the block. Raises `ImageError`, `EngineError`."""
    try:
        _write(file, engine.save_image(image.id), SAVING, progress, image.size)
        yield replace(inspect(FileSpan(file, 0, file.stat().st_size), name), name=name)
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def uncompressed(archive: ImageArchive, file: Path, progress: Progress) -> Iterator[ImageArchive]:
    """Yield the archive itself if it is not compressed, else a copy decompressed to `file` for the block."""
    if not archive.span.compression:
        yield archive
        return
    try:
        _write(file, _decompress(archive), UNPACKING, progress, None)
        yield replace(archive, span=FileSpan(file, 0, file.stat().st_size))
    finally:
        file.unlink(missing_ok=True)


def _decompress(archive: ImageArchive) -> Iterator[bytes]:
    try:
        with archive.span.open() as reader:
            while chunk := reader.read(CHUNK):
                yield chunk
    except CorruptArchive as error:
        raise ImageError(f"cannot read {archive.name}: {error}", remedy="save the image again") from error


def _write(file: Path, chunks: Iterable[bytes], what: str, progress: Progress, total: int | None) -> None:
    """Write chunks to a file; `total` is the estimated size in bytes, if known."""
    done = 0
    with file.open("wb") as target:
        for chunk in chunks:
            target.write(chunk)
            done += len(chunk)
            progress(what, done, total)
