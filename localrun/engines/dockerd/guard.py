"""Protection of programs against a localrun process that stops reading their output.

An engine stops a program whose attached reader does not read: while localrun is suspended (SIGSTOP, Ctrl+Z),
its tasks would stand still. A small child process holds a copy of each attached connection. It shuts a
connection down if data is waiting and this process has not reported any progress for a while. The output is
then completed from the engine's log. The child ends with this process.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

_PROGRAM = Path(__file__).with_name("guard_process.py")
_INTERVAL = 0.25  # seconds between two reports of progress; the child waits for longer


class Watch:
    """A watched connection."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._next = 0.0

    def beat(self) -> None:
        """Report that this process reads the connection."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _INTERVAL
            with contextlib.suppress(OSError):  # the child has ended
                self._line.send(b".")

    @property
    def was_cut(self) -> bool:
        """Whether the child has shut the connection down."""
        try:
            return bool(self._line.recv(1))
        except OSError:  # nothing was sent
            return False

    def close(self) -> None:
        self._line.close()


class Guard:
    """The child process, started for the first connection. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, connection: int) -> Watch:
        """Watch a connection, given by its file descriptor. Raises `OSError` if no child can be started."""
        line, other = socket.socketpair()
        with other:
            try:
                line.setblocking(False)
                with self._lock:
                    self._send([connection, other.fileno()])
            except BaseException:
                line.close()
                raise
        return Watch(line)

    def _send(self, descriptors: list[int]) -> None:
        if self._control is not None:
            try:
                socket.send_fds(self._control, [b"+"], descriptors)
                return
            except OSError:  # the child was killed
                self._stop()
        self._control = self._start()
        socket.send_fds(self._control, [b"+"], descriptors)

    def _start(self) -> socket.socket:
        import subprocess

        control, other = socket.socketpair()
        with other:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_PROGRAM)],
                    stdin=other.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # not stopped with the process group of localrun
                )
            except BaseException:
                control.close()
                raise
        return control

    def _stop(self) -> None:
        control, self._control = self._control, None
        if control is None:
            return
        control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End the child process."""
        with self._lock:
            self._stop()
