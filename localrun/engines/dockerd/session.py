"""The standard streams of a container, over one connection in both directions."""

from __future__ import annotations

from collections.abc import Iterator

from localrun.engines.base import LogChunk
from localrun.engines.dockerd.api import Api
from localrun.engines.dockerd.stream import demultiplex

_STREAMS = {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}


class DockerSession:
    """A connection to a container. Without a terminal, `framed`, the engine multiplexes its two outputs."""

    def __init__(self, api: Api, path: str, *, framed: bool) -> None:
        self._response = api.open("POST", path, _STREAMS, action="connect to the container")
        self._framed = framed

    def __iter__(self) -> Iterator[LogChunk]:
        chunks = self._response.chunks()
        if self._framed:
            yield from demultiplex(chunks)
        else:
            yield from (("stdout", chunk) for chunk in chunks)

    def send(self, data: bytes) -> None:
        self._response.send(data)

    def end_input(self) -> None:
        self._response.end_input()

    def close(self) -> None:
        self._response.close()
