"""A task of whatever process, as the events that its own process would have told.

Its history and its log are files, which tell nobody that they have grown: each look gives what is new.
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

INITIAL_LINES = 50  # of a log that is long already when somebody begins to look
_TAIL = 64 * 1024  # bytes in which these are looked for


class Replay:
    """What is new of a task since the last look. What its log had before the first one is cut to its end."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._history = FileFollower(workspace.events)
        self._log = FileFollower(workspace.log)
        self._rest = b""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._begun = False

    def new_events(self) -> Iterator[Event]:
        """What has happened, in its order: what the program wrote comes before the end of its step."""
        events = self._events()  # before the log: whatever it had written by then is in the log by now
        said = list(self._said())
        for event in events:
            if _ends_program(event):
                yield from said
                said = []
            yield event
        yield from said

    def _events(self) -> list[Event]:
        *lines, self._rest = (self._rest + b"".join(self._history.read_new())).split(b"\n")
        return [event for event in map(_event, lines) if event is not None]

    def _said(self) -> Iterator[Event]:
        if not self._begun and self._workspace.log.exists():
            self._begun = True
            text = self._log.read_tail(_TAIL).decode("utf-8", "replace")
            lines = text.splitlines(keepends=True)
            if self._log.is_truncated or len(lines) > INITIAL_LINES:
                message = (
                    f"what it wrote before is left out: `localrun logs {self._workspace.short_id}` has it"
                )
                yield Event("note", self._workspace.id, message)
            yield self._piece("".join(lines[-INITIAL_LINES:]))
        for data in self._log.read_new():
            yield self._piece(self._decode(data))

    def _piece(self, text: str) -> Event:
        return Event("log", self._workspace.id, data={"stream": "stdout", "text": text})


def _event(line: bytes) -> Event | None:
    """A line of the history; None for one that is damaged, or of a later localrun."""
    try:
        found: dict[str, Any] = json.loads(line)
        return Event(**found)
    except (ValueError, TypeError):
        return None


def _ends_program(event: Event) -> bool:
    if event.kind == "step":
        return event.data.get("step") == "task" and event.data.get("status") != "started"
    return event.kind == "state" and TaskState(event.data["state"]).is_final
