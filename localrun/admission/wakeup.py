"""Wakeups between processes: datagrams to abstract Unix sockets.

An abstract socket name disappears with its process, so a crash leaves nothing behind. A process that
cannot be reached (e.g. in the network of another container) still polls.
"""

from __future__ import annotations

import os
import re
import select
import socket
import uuid
from collections.abc import Iterable
from contextlib import suppress

_NAME = re.compile(r"localrun-[0-9]{1,10}-[0-9a-f]{32}")


class Wakeup:
    """A wakeup signal with many senders and one receiver. Signals sent before `wait()` are kept.

    `key` are 32 hexadecimal digits, unique in this process; else they are random. Raises `OSError`.
    """

    def __init__(self, key: str = "") -> None:
        self.name = name_of(os.getpid(), key or uuid.uuid4().hex)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.bind(_address(self.name))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Wakeup:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def wait(self, seconds: float) -> bool:
        """Block until a signal arrives, for at most `seconds`. Return whether one did."""
        poll = select.poll()  # not select(): a server may have more than 1024 files open
        poll.register(self._socket, select.POLLIN)
        signalled = bool(poll.poll(seconds * 1000))
        with suppress(BlockingIOError):
            while self._socket.recv(16):
                signalled = True
        return signalled


def name_of(pid: int, key: str) -> str:
    """Return the name of the wakeup of a process."""
    return f"localrun-{pid}-{key}"


def notify(names: Iterable[str]) -> None:
    """Signal these wakeups. Receivers that have exited or are already signalled are skipped.

    The names come from a file that other users can write. Only names that `Wakeup` creates are used.
    """
    valid = [name for name in names if _NAME.fullmatch(name)]
    if not valid:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        for name in valid:
            with suppress(OSError):
                sender.sendto(b"!", _address(name))


def _address(name: str) -> bytes:
    return b"\0" + name.encode()
