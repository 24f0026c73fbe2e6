"""A container's output: attached before its start, or the engine's own copy of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from localrun.engines.base import LogChunk
from localrun.engines.dockerd.api import Api
from localrun.engines.dockerd.guard import Guard
from localrun.engines.dockerd.stream import demultiplex
from localrun.errors import Cause, EngineError

_STREAMS = {"stdout": 1, "stderr": 1}


class AttachedOutput:
    """The output of a container as it is written.

    The engine passes it on without storing it first, which is several times faster than following its log.
    It would also stop the program while this process does not read. The guard closes the connection then.
    """

    def __init__(self, api: Api, path: str, guard: Guard) -> None:
        query = {"stream": 1, **_STREAMS}
        self._response = api.open("POST", path, query, action="attach to the container")
        try:
            self._watch = guard.watch(self._response.fileno())
        except BaseException:
            self._response.close()
            raise

    def __iter__(self) -> Iterator[LogChunk]:
        with contextlib.closing(self):
            yield from demultiplex(self._chunks())
            if self._watch.was_cut:
                raise EngineError("localrun did not read the task's output in time", cause=Cause.ENGINE_LOST)

    def _chunks(self) -> Iterator[bytes]:
        for chunk in self._response.chunks():
            self._watch.beat()
            yield chunk

    def close(self) -> None:
        self._response.close()
        self._watch.close()


def read_log(api: Api, path: str, *, follow: bool, tail: int | None) -> Iterator[LogChunk]:
    """Yield the engine's copy of the output, or its last `tail` lines."""
    query = {"follow": int(follow), **_STREAMS, **({} if tail is None else {"tail": tail})}
    with contextlib.closing(api.open("GET", path, query, action="read the container's log")) as response:
        yield from demultiplex(response.chunks())
