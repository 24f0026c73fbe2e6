"""The events of a task of another process, read from its files.

There is no portable notification for growing files, so the caller polls for new events.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from localrun.console.file_follower import FileFollower
from localrun.task.events import Event
from localrun.task.states import TaskState

if TYPE_CHECKING:
    from localrun.task.workspace import Workspace

INITIAL_LINES = 50  # of the existing log that are shown first
_TAIL = 64 * 1024  # bytes at the end that are searched for them


class Replay:
    """Yields the events of a task since the last call, starting with the last lines of its log.

    `whole_log` starts at the first line.
    """

    def __init__(self, workspace: Workspace, *, whole_log: bool = False) -> None:
        self._workspace = workspace
        self._history = FileFollower(workspace.events)
        self._log = FileFollower(workspace.log)
        self._rest = b""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._is_started = whole_log

    def new_events(self) -> Iterator[Event]:
        """Yield new events in order; log output precedes the end of the step that wrote it."""
        events = self._events()  # read before the log, which then has all output up to the last event
        output = list(self._log_events())
        for event in events:
            if _ends_program(event):
                yield from output
                output = []
            yield event
        yield from output

    def _events(self) -> list[Event]:
        *lines, self._rest = (self._rest + b"".join(self._history.read_new())).split(b"\n")
        return [event for event in map(_event, lines) if event is not None]

    def _log_events(self) -> Iterator[Event]:
        if not self._is_started and self._workspace.log.exists():
            self._is_started = True
            text = self._log.read_tail(_TAIL).decode("utf-8", "replace")
            lines = text.splitlines(keepends=True)
            if self._log.is_truncated or len(lines) > INITIAL_LINES:
                message = f"earlier output is omitted; see `localrun logs {self._workspace.short_id}`"
                yield Event("note", self._workspace.id, message)
            yield self._log_event("".join(lines[-INITIAL_LINES:]))
        for data in self._log.read_new():
            yield self._log_event(self._decode(data))

    def _log_event(self, text: str) -> Event:
        return Event("log", self._workspace.id, data={"stream": "stdout", "text": text})


def _event(line: bytes) -> Event | None:
    """Parse a line of the event file; None if it is damaged or from a newer version."""
    try:
        found: dict[str, Any] = json.loads(line)
        return Event(**found)
    except (ValueError, TypeError, RecursionError):
        return None


def _ends_program(event: Event) -> bool:
    if event.kind == "step":
        return event.data.get("step") == "task" and event.data.get("status") != "started"
    return event.kind == "state" and TaskState(event.data["state"]).is_final
