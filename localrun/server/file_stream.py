"""Files that grow while they are sent: the log of a task, and its events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from localrun.server.broadcast import Broadcaster, Subscription

_CHUNK = 64 * 1024
_LOOK = 0.25  # seconds between two looks at a file that another process may write: it tells us nothing


async def follow(
    path: Path, hub: Broadcaster, watcher: Subscription, ended: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """What is in a file and what is added to it, until `ended`; an empty piece when nothing was added."""
    stream: BinaryIO | None = None
    try:
        while True:
            last = ended() or hub.is_closing  # asked before reading: what came before the end is read
            stream = stream or _opened(path)
            while stream is not None and (data := stream.read(_CHUNK)):
                yield data
            if last:
                return
            if not await watcher.wait(_LOOK):
                yield b""
    finally:
        if stream is not None:
            stream.close()


async def follow_lines(
    path: Path, hub: Broadcaster, watcher: Subscription, ended: Callable[[], bool]
) -> AsyncIterator[tuple[int, bytes]]:
    """The same in whole lines with their numbers from 1; (0, b"") when there is none."""
    number, rest = 0, b""
    async for piece in follow(path, hub, watcher, ended):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            yield number, line
        if not whole:
            yield 0, b""


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None
