"""Progress of a batch: one line that is rewritten on a terminal, else a line now and then."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TextIO

import msgspec

from localrun.console.display.sanitize import escape_control_chars, escape_lines
from localrun.console.streams import is_terminal, write
from localrun.errors import LocalrunError
from localrun.task.states import TaskState
from localrun.units import format_duration

_FINAL = (TaskState.FINISHED, TaskState.FAILED, TaskState.KILLED)
_REFRESH = {True: 0.5, False: 10.0}  # seconds between two lines, on a terminal or not
_POLL = 0.5  # seconds in which the first row in flight is noticed
_RECENT = 200  # ended rows from which the rate is computed
_MOST_FAILURES = 20  # that are shown as they happen
_STATES = [str(state) for state in (*_FINAL, *(one for one in TaskState if one not in _FINAL))]
_NARROW = 79  # characters of a line on a terminal of unknown width
_MOST_NODES = 4  # whose names are shown
_WIDTH = 200  # characters of a failure


class BatchCounts(msgspec.Struct, frozen=True):
    """How far a batch is: all rows, ended rows by state, rows in flight by state, running ones by node."""

    total: int
    ended: Mapping[str, int]
    in_flight: Mapping[str, int]
    nodes: Mapping[str, int] = msgspec.field(default_factory=dict)

    @property
    def done(self) -> int:
        return sum(self.ended.values())


class BatchProgress:
    """Shows the progress of a batch on standard error, until the context is left. Thread-safe."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str], *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._is_terminal = is_terminal(stream, environ)
        self._counts: Callable[[], BatchCounts] | None = None
        self._ends: deque[float] = deque(maxlen=_RECENT)
        self._failures = 0
        self._last = ""
        self._lock = threading.Lock()
        self._closed = threading.Event()

    @contextmanager
    def of(self, counts: Callable[[], BatchCounts]) -> Iterator[None]:
        """Show the progress during the block; `counts` returns it."""
        if self._quiet:
            yield
            return
        self._counts = counts
        ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
        ticker.start()
        try:
            yield
        finally:
            self._closed.set()
            ticker.join()
            # after an error before the first row, a count of rows says nothing
            if (self._last or self._ends) and self._draw() and self._is_terminal:
                write(self._stream, "\n")

    def _tick(self) -> None:
        refresh, drawn = _REFRESH[self._is_terminal], time.monotonic()
        while not self._closed.wait(min(refresh, _POLL)):
            self._note_start()
            if time.monotonic() - drawn >= refresh:
                drawn = time.monotonic()
                with suppress(LocalrunError):  # the output cannot be written: the batch continues
                    self._draw()

    def _note_start(self) -> None:
        """Count the time from when the image is ready and the first rows run."""
        if self._ends or self._counts is None or not self._counts().in_flight:
            return
        with self._lock:
            if not self._ends:
                self._ends.append(time.monotonic())

    def show(self, finished: bool, name: str, cause: str | None, message: str) -> None:
        """Count the end of a row, and show why it did not finish."""
        with self._lock:
            self._ends.append(time.monotonic())
        if finished:
            return
        self._failures += 1
        if self._failures <= _MOST_FAILURES:
            text = " ".join(f"row {name}: {cause or 'FAILED'}: {message}".split())
            self.notify(text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}...")
        elif self._failures == _MOST_FAILURES + 1:
            self.notify("further failures are in the table of results")

    def notify(self, note: str) -> None:
        """Show a line above the progress."""
        if self._quiet:
            return
        with self._lock:
            start = "\r\x1b[K" if self._is_terminal else ""
            write(self._stream, f"{start}{escape_lines(note)}\n")
            self._last = ""
        if self._is_terminal:
            self._draw()

    def _draw(self) -> bool:
        """Write the line unless it is there already, and return whether there is one."""
        if self._counts is None:
            return False
        counts = self._counts()
        with self._lock:
            line = progress_line(counts, self._rate(), ended=self._closed.is_set())
            if line == self._last:
                return True
            self._last = line
            shown = f"\r\x1b[K{line[: self._width()]}" if self._is_terminal else f"{line}\n"
            write(self._stream, shown)
            return True

    def _width(self) -> int:
        """Return the characters that fit into a line without a line break."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return columns - 1 if columns > 1 else _NARROW

    def _rate(self) -> float:
        """Return the ended rows per second; 0 if not known."""
        if len(self._ends) < 2:
            return 0.0
        seconds = time.monotonic() - self._ends[0]
        return (len(self._ends) - 1) / seconds if seconds > 0 else 0.0


def format_nodes(nodes: Mapping[str, int]) -> str:
    """Return how many rows run on each node, e.g. `node1 4, node2 4`, or `on 20 nodes`."""
    if len(nodes) > _MOST_NODES:
        return f"on {len(nodes)} nodes"
    return escape_control_chars(", ".join(f"{name} {count:,}" for name, count in sorted(nodes.items())))


def progress_line(counts: BatchCounts, rate: float, *, ended: bool = False) -> str:
    """Return e.g. `12/500 rows, 10 FINISHED, 2 FAILED, 8 RUNNING, 3.1 rows/s, 2 min 37 s left`."""
    groups = (counts.ended, counts.in_flight)
    states = [f"{found[state]:,} {state}" for found in groups for state in sorted(found, key=_STATES.index)]
    where = f" ({format_nodes(counts.nodes)})" if counts.nodes else ""
    states = [f"{text}{where}" if text.endswith(" RUNNING") else text for text in states]
    parts = [f"{counts.done:,}/{counts.total:,} rows", *states]
    if rate:
        parts.append(f"{rate:.2g} rows/s" if rate < 10 else f"{rate:.0f} rows/s")
        if not ended:
            parts.append(f"{format_duration((counts.total - counts.done) / rate)} left")
    return ", ".join(parts)
