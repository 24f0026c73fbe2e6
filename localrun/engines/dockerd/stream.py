"""The engine's log format, which multiplexes stdout and stderr.

A frame is a header of 8 bytes (1 for stdout or 2 for stderr, three zeros, the length as a big-endian number),
then the text (Docker Engine API: attach, "Stream format"). Frames may start and end anywhere in a chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from localrun.engines.base import StreamName

HEADER = 8
_NAMES: dict[int, StreamName] = {0: "stdout", 1: "stdout", 2: "stderr"}


def demultiplex(chunks: Iterable[bytes]) -> Iterator[tuple[StreamName, bytes]]:
    """Yield stream names and text as they arrive; adjacent frames of one stream are joined.

    A frame that spans multiple chunks is yielded in parts, never buffered as a whole. An incomplete header at
    the end is dropped.
    """
    name: StreamName = "stdout"
    head, left = b"", 0
    for chunk in chunks:
        parts: list[bytes] = []
        at, size = 0, len(chunk)
        while at < size:
            if left:
                parts.append(chunk[at : at + left])
                at, left = at + len(parts[-1]), left - len(parts[-1])
                continue
            taken = chunk[at : at + HEADER - len(head)]
            head, at = head + taken, at + len(taken)
            if len(head) < HEADER:
                break
            other = _NAMES.get(head[0], "stderr")
            left, head = int.from_bytes(head[4:], "big"), b""
            if other != name and parts:
                yield name, b"".join(parts)
                parts = []
            name = other
        if parts:
            yield name, b"".join(parts)
