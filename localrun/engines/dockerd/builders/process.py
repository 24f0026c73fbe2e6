"""Build clients as child processes that end with the call that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PATIENCE = 10.0  # seconds for a terminated client to cancel its build


class Processes:
    """The running build clients by the thread that waits for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._abandoned: set[int] = set()

    @contextmanager
    def start(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        """Run a command and read its output, both streams, as text. It is terminated at the end of the block.

        It has a session of its own, so Ctrl+C reaches it through this process only.
        """
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        thread = threading.get_ident()
        with self._lock:
            self._running[thread] = process
        try:
            yield process
        finally:
            with self._lock:
                self._running.pop(thread, None)
                self._abandoned.discard(thread)
            _end(process)

    def was_abandoned(self) -> bool:
        """Return whether `abandon` ended the process of this thread."""
        return threading.get_ident() in self._abandoned

    def abandon(self, thread: int) -> None:
        """Terminate the process that a thread waits for."""
        with self._lock:
            process = self._running.get(thread)
            if process is not None:
                self._abandoned.add(thread)
        if process is not None:
            _signal(process, signal.SIGTERM)

    def close(self) -> None:
        """Terminate all processes."""
        with self._lock:
            threads = list(self._running)
        for thread in threads:
            self.abandon(thread)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.communicate(timeout=PATIENCE)  # it may still write
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
