"""Handling of Ctrl+C, SIGTERM and SIGHUP.

The right reaction to a signal depends on the phase of a command. Before a task is submitted, an exception
ends the command and undoes its work. While a task runs, a thread must stop it: the handler must not block,
and the main thread may be blocked in a write to a stopped terminal. During an atomic operation, the signal
is deferred, and during an import as well.
"""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import Any

_RETRY = 0.01  # seconds until a signal that came during an import is handled
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

StopCallback = Callable[[int], None]  # called with the count of signals, from 1


class Interrupted(BaseException):
    """Raised for a signal. It is not an `Exception`, so that no code handles it as a failure."""


class SignalHandler:
    """A context manager for the main thread that handles signals."""

    def __init__(self) -> None:
        self.count = 0
        self._pending = 0
        self._interruptible = False
        self._deferred = False
        self._is_repeated = False  # whether the next signal was counted before
        self._stops: SimpleQueue[int] | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> SignalHandler:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._is_repeated:
            self.count += 1
            if self._stops is not None:
                self._stops.put(self.count)  # the only queue that is safe in a signal handler
                return
            self._pending += 1
        self._is_repeated = False
        if self._pending and self._interruptible and _is_importing(frame):
            _thread.start_new_thread(self._repeat, (number,))  # takes no lock, unlike `threading`
        else:
            self._raise_if_pending()

    def _repeat(self, number: int) -> None:
        time.sleep(_RETRY)
        self._is_repeated = True
        signal.pthread_kill(threading.main_thread().ident or 0, number)  # interrupts system calls, too

    def _raise_if_pending(self) -> None:
        if self._pending and self._interruptible and not self._deferred:
            self._pending = 0
            self._interruptible = False  # cleanup must not be interrupted again
            raise Interrupted

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Raise `Interrupted` once for a signal during the block, or for a pending one."""
        self._interruptible = True
        try:
            self._raise_if_pending()
            yield
        finally:
            self._interruptible = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer signals to the end of the block."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        self._raise_if_pending()

    @contextmanager
    def on_signal(self, stop: StopCallback) -> Iterator[None]:
        """Call `stop` for each signal during the block, each in a new thread."""
        stops: SimpleQueue[int] = SimpleQueue()
        thread = threading.Thread(target=_call_stop, args=(stops, stop), name="signal-handler")
        thread.start()
        self._stops = stops
        for number in range(self._pending):
            stops.put(number + 1)
        self._pending = 0
        try:
            yield
        finally:
            self._stops = None
            stops.put(0)
            thread.join()

    def requeue(self) -> None:
        """Pass the signal that raised `Interrupted` to the next `on_signal` block."""
        self._pending += 1


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether a module is being imported.

    An exception there may leave Python's import lock locked, so that all other threads wait forever.
    """
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _call_stop(stops: SimpleQueue[int], stop: StopCallback) -> None:
    threads: list[threading.Thread] = []
    while number := stops.get():
        thread = threading.Thread(target=stop, args=(number,), name=f"stop-{number}")
        try:
            thread.start()
            threads.append(thread)
        except (RuntimeError, MemoryError):  # too many threads
            stop(number)
    for thread in threads:
        thread.join()
