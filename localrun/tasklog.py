"""What a task's program writes: kept on disk within a limit, its end always."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path

from localrun.sizes import show_bytes

_TAIL = 64 * 1024  # bytes of the end that are kept when the limit is passed


class TaskLog:
    """A log file that stops growing at `limit` bytes, or with the disk, and still ends with the last lines.

    Used from one thread at a time: the one that follows the container.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._stream = path.open("ab", buffering=0)
        self._room = limit
        self._left_out = 0
        self.size = 0  # bytes that the program has written, also those that were left out
        self._tail: deque[bytes] = deque()
        self._tail_size = 0

    def write(self, data: bytes) -> None:
        """Add what the program wrote."""
        self.size += len(data)
        kept = self._written(data[: self._room])
        self._room -= kept
        if kept < len(data):
            self._room = 0
        self._left_out += len(data) - kept
        self._remember(data)

    def _written(self, data: bytes) -> int:
        try:
            return self._stream.write(data) or 0
        except OSError:  # no room: the program may have filled the disk, and has to be followed all the same
            return 0

    def _remember(self, data: bytes) -> None:
        self._tail.append(data[-_TAIL:])
        self._tail_size += len(self._tail[-1])
        while self._tail_size - len(self._tail[0]) >= _TAIL:
            self._tail_size -= len(self._tail.popleft())

    @property
    def tail(self) -> str:
        """The last 64 KiB or more, as text."""
        return b"".join(self._tail).decode("utf-8", "replace")

    def close(self) -> None:
        """Finish the file: where the limit was passed, say how much is missing and add the end."""
        if self._stream.closed:
            return
        if self._left_out:
            end = b"".join(self._tail)[-min(self._left_out, _TAIL) :]
            missing = self._left_out - len(end)
            mark = f"\n[localrun: {show_bytes(missing)} of output left out here]\n".encode()
            with suppress(OSError):
                self._stream.write(mark + end)
        self._stream.close()
