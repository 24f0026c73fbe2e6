"""The lines that the server prints about tasks: one at the start of each, one at its end."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import redirect_to_devnull, write
from localrun.manager.payload import is_manual
from localrun.task.events import Event
from localrun.task.record import TaskRecord, short_id
from localrun.task.states import TaskState
from localrun.units import format_count, format_duration

if TYPE_CHECKING:
    from localrun.manager.manager import Manager

_MOST = 1000  # lines that wait for the terminal
_MAX_TEXT = 200  # characters of the message of a failed task
_PATIENCE = 1.0  # seconds for the last lines
_INTERVAL = 0.05  # seconds in which lines are collected
_MAX_WRITE = 1000  # characters, which have less than the 4096 bytes that a pipe takes without blocking
_POLL = 0.2  # seconds between two looks at a terminal that takes nothing


class TaskLines:
    """Prints the lines in a thread of its own, a few times a second.

    A terminal that was stopped, or a pipe that nothing reads, must stop neither the tasks nor the exit of the
    server: lines that do not fit are counted. A thread that prints each line at once would make the request
    that causes it wait for the interpreter.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._lines: deque[str] = deque()
        self._omitted = 0
        self._has_lines = threading.Event()
        self._is_ending = threading.Event()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._print, name="task lines", daemon=True)
        self._thread.start()

    def on_event(self, event: Event) -> None:
        """Print a line for the start or the end of a task; the event listener."""
        text = self._line(event) if event.kind == "state" else ""
        if not text:
            return
        if len(self._lines) < _MOST:
            self._lines.append(f"{escape_control_chars(text)}\n")
        else:
            self._omitted += 1
        if not self._has_lines.is_set():
            self._has_lines.set()

    def _line(self, event: Event) -> str:
        state, task_id = event.data.get("state"), event.task_id
        if state == TaskState.CREATED and is_manual(event.data.get("task_data") or {}):
            return f"task {short_id(task_id)} created{_client(event.data.get('assigned_by'))}"
        if state != TaskState.RUNNING and (state is None or not TaskState(state).is_final):
            return ""
        record = self._manager.find_task(task_id)
        if record is None or record.replica is not None:  # replicas are part of their task
            return ""
        return _started(record) if state == TaskState.RUNNING else _ended(record)

    def close(self) -> None:
        """Print what is left, unless the terminal takes nothing."""
        self._is_ending.set()
        self._has_lines.set()
        self._thread.join(_PATIENCE)
        self._is_closed.set()
        self._thread.join()

    def _print(self) -> None:
        is_last = False
        while not is_last:
            self._has_lines.wait()
            is_last = self._is_ending.wait(_INTERVAL)
            self._has_lines.clear()
            while self._lines and not self._is_closed.is_set():
                self._write(self._next_lines())
            if self._omitted and not self._is_closed.is_set():
                omitted, self._omitted = self._omitted, 0
                self._write(f"{format_count(omitted, 'line')} omitted: the terminal was too slow\n")

    def _next_lines(self) -> str:
        """Remove lines that a pipe takes in one write."""
        text = self._lines.popleft()
        while self._lines and len(text) + len(self._lines[0]) <= _MAX_WRITE:
            text += self._lines.popleft()
        return text

    def _write(self, text: str) -> None:
        """Write without the lock of the stream, which the exit of the process needs."""
        try:
            descriptor = sys.stdout.fileno()
        except (OSError, ValueError):  # not a file, such as in a test
            write(sys.stdout, text)
            return
        writable = select.poll()  # select.select refuses descriptors from 1024 on
        writable.register(descriptor, select.POLLOUT)
        while not writable.poll(_POLL * 1000):
            if self._is_closed.is_set():
                return
        try:
            os.write(descriptor, text.encode(sys.stdout.encoding, "backslashreplace"))
        except OSError:  # the reader is gone
            redirect_to_devnull(sys.stdout)


def _started(record: TaskRecord) -> str:
    return f"task {record.short_id} started: {record.name or record.bundle}{_client(record.assigned_by)}"


def _ended(record: TaskRecord) -> str:
    seconds = record.duration
    took = "" if seconds is None else f" after {format_duration(seconds)}"
    if record.state is TaskState.FINISHED or not record.cause:
        return f"task {record.short_id} {record.state}{took}"
    message = record.message.partition("\n")[0]
    shown = message if len(message) <= _MAX_TEXT else f"{message[:_MAX_TEXT]}..."
    return f"task {record.short_id} {record.state} ({record.cause}){took}: {shown}"


def _client(name: str | None) -> str:
    return f" (assigned by {name})" if name else ""


@contextmanager
def task_lines(manager: Manager) -> Iterator[None]:
    """Print the lines during the block."""
    lines = TaskLines(manager)
    unsubscribe = manager.subscribe(lines.on_event)
    try:
        yield
    finally:
        unsubscribe()
        lines.close()
