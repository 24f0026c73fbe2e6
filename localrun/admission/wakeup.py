"""How one process wakes another that waits: a datagram to a socket without a place on the disk.

The name lives in Linux' abstract namespace: it vanishes with its process, so one that dies leaves
nothing. Whoever cannot be reached (another container's network) is not lost: all look by themselves too.
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
    """Rung by others; waited for by one. A ring that comes before the wait is not lost."""

    def __init__(self) -> None:
        self.name = f"localrun-{os.getpid()}-{uuid.uuid4().hex}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.bind(_address(self.name))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Wakeup:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait(self, seconds: float) -> bool:
        """Block until it is rung, at most so long; whether it was."""
        poll = select.poll()  # not select(): a server may have more than 1024 files open
        poll.register(self._socket, select.POLLIN)
        rung = bool(poll.poll(seconds * 1000))
        with suppress(BlockingIOError):
            while self._socket.recv(16):
                rung = True
        return rung


def notify(names: Iterable[str]) -> None:
    """Wake each of these; whoever is gone, or has rings waiting already, needs none.

    Names come from a file that others can write: only those of the form that `Wakeup` makes are used.
    """
    known = [name for name in names if _NAME.fullmatch(name)]
    if not known:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ringer:
        for name in known:
            with suppress(OSError):
                ringer.sendto(b"!", _address(name))


def _address(name: str) -> bytes:
    return b"\0" + name.encode()
