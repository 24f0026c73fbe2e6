"""Streams of files that grow while they are sent: the log and the events of a task."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from localrun import fs
from localrun.server.broadcast import Broadcaster, Subscription

_CHUNK = 64 * 1024


async def follow(
    path: Path,
    broadcaster: Broadcaster,
    subscription: Subscription,
    ended: Callable[[], bool],
    offset: int = 0,
) -> AsyncIterator[bytes]:
    """Yield the content of a file from `offset` on and what is appended, until `ended`.

    Yields empty bytes after each wait.
    """
    stream: BinaryIO | None = None
    try:
        while True:
            last = ended() or broadcaster.is_closing  # before reading: the rest must be read
            stream = stream or _opened(path, offset)
            while stream is not None and (data := stream.read(_CHUNK)):
                yield data
            if last:
                return
            await subscription.wait()
            yield b""
    finally:
        if stream is not None:
            stream.close()


async def follow_lines(
    path: Path, broadcaster: Broadcaster, subscription: Subscription, ended: Callable[[], bool]
) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers from 1, and (0, b"") if there is no new line."""
    number, rest = 0, b""
    async for piece in follow(path, broadcaster, subscription, ended):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            yield number, line
        if not whole:
            yield 0, b""


def _opened(path: Path, offset: int) -> BinaryIO | None:
    try:
        stream = fs.open_regular(path)
    except FileNotFoundError:
        return None
    stream.seek(offset)
    return stream
