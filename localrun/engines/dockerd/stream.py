"""The engine's log stream: frames of one stream each, in chunks that know nothing of frames.

A frame is a header of 8 bytes (1 for stdout or 2 for stderr, three zeros, the length as a big-endian
number) and as many bytes of text (Docker Engine API: attach, "Stream format").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from localrun.engines.base import StreamName

HEADER = 8
_NAMES: dict[int, StreamName] = {0: "stdout", 1: "stdout", 2: "stderr"}


def demultiplex(chunks: Iterable[bytes]) -> Iterator[tuple[StreamName, bytes]]:
    """Give the text of each frame as far as it is there, wherever the chunks are cut.

    A long frame comes in several parts, so that its text is shown as it comes in and no frame is held
    in memory. A stream that is cut in the middle of a header ends there: there is no text to lose.
    """
    name: StreamName = "stdout"
    head, left = b"", 0
    for chunk in chunks:
        at = 0
        while at < len(chunk):
            if left:
                part = chunk[at : at + left]
                at, left = at + len(part), left - len(part)
                yield name, part
                continue
            taken = chunk[at : at + HEADER - len(head)]
            head, at = head + taken, at + len(taken)
            if len(head) == HEADER:
                name, left = _NAMES.get(head[0], "stderr"), int.from_bytes(head[4:], "big")
                head = b""
