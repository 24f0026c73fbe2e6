"""A container's log, followed to its very end."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator

from localrun.engines.base import StreamName
from localrun.engines.dockerd.api import Api
from localrun.engines.dockerd.stream import demultiplex
from localrun.errors import ContainerGone

# Before Docker 23 a log that is followed may end before the last lines are given, when much is written
# just before the container ends; read again afterwards, it is whole.
_WHOLE_SINCE = (1, 42)

LogChunk = tuple[StreamName, bytes]


def follow_log(api: Api, path: str) -> Iterator[LogChunk]:
    """What was written and is written until the container ends."""
    given = LogPosition()
    for name, text in _read(api, path, follow=1):
        given.advance(name, text)
        yield name, text
    if api.is_older_than(_WHOLE_SINCE):
        # removed meanwhile, by somebody who did not wait for its last lines
        with contextlib.suppress(ContainerGone):
            yield from given.remaining(_read(api, path, follow=0))


def _read(api: Api, path: str, *, follow: int) -> Iterator[LogChunk]:
    query = {"follow": follow, "stdout": 1, "stderr": 1}
    answer = api.open("GET", path, query, doing="reading the container's log")
    try:
        yield from demultiplex(answer.chunks())
    finally:
        answer.close()


class LogPosition:
    """How much of each stream was given, and its checksum."""

    def __init__(self) -> None:
        self._length: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
        self._sum: dict[StreamName, int] = {"stdout": 0, "stderr": 0}

    def advance(self, name: StreamName, text: bytes) -> None:
        """Count what is given."""
        self._length[name] += len(text)
        self._sum[name] = zlib.crc32(text, self._sum[name])

    def remaining(self, again: Iterable[LogChunk]) -> Iterator[LogChunk]:
        """What the log, read again from its start, has beyond what was given.

        Nothing, where its start is another one by now: the engine keeps only the end of a long log.
        """
        skipped = LogPosition()
        for name, text in again:
            known = text[: self._length[name] - skipped._length[name]]
            skipped.advance(name, known)
            if len(known) < len(text):
                if skipped._sum[name] != self._sum[name]:
                    return
                yield name, text[len(known) :]
