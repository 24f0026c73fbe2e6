"""Ctrl+C, SIGTERM and SIGHUP, in a form that the rest of the program can live with.

A signal may come at any moment, and what is right then depends on the moment: while nothing is promised
yet, an exception takes the command down and everything is undone on its way; while a task runs, somebody
must stop it, and neither the handler (it may not block) nor the main thread (it may be stuck in a write to
a terminal that was halted) can be the one who does; while something is made that must not be torn, the
signal has to wait.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

StopCallback = Callable[[int], None]  # gets the number of the signal: 1 for the first


class Interrupted(BaseException):
    """A signal asked for the end. No `Exception`, so that nothing on its way takes it for a failure."""


class SignalHandler:
    """Takes the signals over, as a context manager in the main thread."""

    def __init__(self) -> None:
        self.count = 0
        self._pending = 0
        self._raising = False
        self._held = False
        self._stops: SimpleQueue[int] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> SignalHandler:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
                self._before[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._stops is not None:
            self._stops.put(self.count)  # the only kind of queue that a handler may put into
            return
        self._pending += 1
        self._raise_if_pending()

    def _raise_if_pending(self) -> None:
        if self._pending and self._raising and not self._held:
            self._pending = 0
            self._raising = False  # what is undone now is not interrupted again
            raise Interrupted

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Within it, a signal raises `Interrupted`, once; also one that came before and was not answered."""
        self._raising = True
        try:
            self._raise_if_pending()
            yield
        finally:
            self._raising = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within it, a signal waits for the end of the block."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self._raise_if_pending()

    @contextmanager
    def on_signal(self, stop: StopCallback) -> Iterator[None]:
        """Within it, each signal calls `stop`, in a thread of its own: a second is not kept waiting."""
        stops: SimpleQueue[int] = SimpleQueue()
        thread = threading.Thread(target=_serve, args=(stops, stop), name="signal-handler")
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
        """Let the signal that raised be answered by the next `stopping`."""
        self._pending += 1


def _serve(stops: SimpleQueue[int], stop: StopCallback) -> None:
    threads: list[threading.Thread] = []
    while number := stops.get():
        threads.append(threading.Thread(target=stop, args=(number,), name=f"stop-{number}"))
        threads[-1].start()
    for thread in threads:
        thread.join()
