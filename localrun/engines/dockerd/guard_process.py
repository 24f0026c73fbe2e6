"""The child process of `guard`, run as a script: it starts in 10 ms because it imports nothing of localrun.

Its standard input is a socket that brings pairs of descriptors: a connection to the engine, and a line to the
reader. The reader writes to the line when it reads the connection, and closes it when it has finished.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import sys
import termios
import time

_PATIENCE = 1.0  # seconds without progress, twice in a row


class _Watched:
    """A connection. While it has data to read, `deadline` is when the reader must have reported progress."""

    def __init__(self, connection: int, line: int) -> None:
        self.connection = socket.socket(fileno=connection)
        self.line = socket.socket(fileno=line)
        self.deadline = 0.0
        self.strikes = 0

    def on_data(self, now: float) -> None:
        self.deadline, self.strikes = now + _PATIENCE, 0

    def on_line(self) -> bool:
        """Note progress. Return False if the reader has finished."""
        try:
            self.deadline = 0.0
            return bool(self.line.recv(4096))
        except OSError:
            return False

    def on_deadline(self, now: float) -> bool:
        """Return False if the connection was shut down."""
        # A healthy reader that has read all data before the deadline may have reported it just before this
        # period; it has to report again for data that is there for the whole next period.
        if not _has_data(self.connection):
            self.deadline = 0.0
            return True
        self.strikes += 1
        if self.strikes < 2:
            self.deadline = now + _PATIENCE
            return True
        with contextlib.suppress(OSError):
            self.line.send(b"x")
            self.connection.shutdown(socket.SHUT_RDWR)
        return False

    def close(self) -> None:
        self.connection.close()
        self.line.close()


def _has_data(connection: socket.socket) -> bool:
    waiting = fcntl.ioctl(connection.fileno(), termios.FIONREAD, bytes(4))
    return int.from_bytes(waiting, sys.byteorder) > 0


def main() -> None:
    """Watch connections until the parent process has ended."""
    control = socket.socket(fileno=0)
    watched: list[_Watched] = []
    while True:
        ready = _wait(control, watched)
        if 0 in ready:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 2)
            if not message:
                return
            watched.append(_Watched(*descriptors))
        watched = [one for one in watched if _is_kept(one, ready)]


def _wait(control: socket.socket, watched: list[_Watched]) -> set[int]:
    poll = select.poll()
    poll.register(control.fileno(), select.POLLIN)
    for one in watched:
        poll.register(one.line.fileno(), select.POLLIN)
        if not one.deadline:
            poll.register(one.connection.fileno(), select.POLLIN)
    deadlines = [one.deadline for one in watched if one.deadline]
    timeout = max(0.0, min(deadlines) - time.monotonic()) * 1000 + 1 if deadlines else None
    return {number for number, _ in poll.poll(timeout)}


def _is_kept(one: _Watched, ready: set[int]) -> bool:
    now = time.monotonic()
    kept = True
    if one.line.fileno() in ready:
        kept = one.on_line()
    elif one.deadline and now >= one.deadline:
        kept = one.on_deadline(now)
    elif one.connection.fileno() in ready:
        one.on_data(now)
    if not kept:
        one.close()
    return kept


if __name__ == "__main__":
    main()
