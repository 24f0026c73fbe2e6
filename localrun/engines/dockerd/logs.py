"""A container's log, followed to its end."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator

from localrun.engines.base import StreamName
from localrun.engines.dockerd.api import Api
from localrun.engines.dockerd.stream import demultiplex
from localrun.errors import ContainerGone

# Before Docker 23, a followed log may miss its last lines if the container writes much before it ends. A log
# that is read afterwards is complete.
_COMPLETE_SINCE = (1, 42)

LogChunk = tuple[StreamName, bytes]


def follow_log(api: Api, path: str) -> Iterator[LogChunk]:
    """Yield the output until the container ends."""
    position = LogPosition()
    for name, text in _read(api, path, follow=1):
        position.advance(name, text)
        yield name, text
    if api.is_older_than(_COMPLETE_SINCE):
        # the container may have been removed in the meantime
        with contextlib.suppress(ContainerGone):
            yield from position.remaining(_read(api, path, follow=0))


def _read(api: Api, path: str, *, follow: int) -> Iterator[LogChunk]:
    query = {"follow": follow, "stdout": 1, "stderr": 1}
    with contextlib.closing(api.open("GET", path, query, action="read the container's log")) as response:
        yield from demultiplex(response.chunks())


class LogPosition:
    """The number of bytes read from each stream, and their checksum."""

    def __init__(self) -> None:
        self._length: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
        self._checksum: dict[StreamName, int] = {"stdout": 0, "stderr": 0}

    def advance(self, name: StreamName, text: bytes) -> None:
        self._length[name] += len(text)
        self._checksum[name] = zlib.crc32(text, self._checksum[name])

    def remaining(self, again: Iterable[LogChunk]) -> Iterator[LogChunk]:
        """Yield what follows this position in a log that is read again from its start.

        Yields nothing if the start has changed, because the engine keeps only the end of a long log.
        """
        skipped = LogPosition()
        for name, text in again:
            known = text[: self._length[name] - skipped._length[name]]
            skipped.advance(name, known)
            if len(known) < len(text):
                if skipped._checksum[name] != self._checksum[name]:
                    return
                yield name, text[len(known) :]
