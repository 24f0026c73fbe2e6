"""What happened: one frozen event, and the function that takes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True):
    """One thing that happened to a task.

    `kind` is one of the words of `KINDS`; `message` is for people, `data` for machines; `time` is in
    seconds since 1970 (UTC).
    """

    kind: str
    task_id: str
    message: str = ""
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    time: float = msgspec.field(default_factory=time.time)


# kind -> what it tells. Nothing else may be emitted, so that readers of a journal can rely on the list.
KINDS: dict[str, str] = {
    "state": "the task entered a state (data: state, cause, assigned_by; at the end: message, exit_code)",
    "step": "a step began or ended (data: step, status: started|finished|failed, seconds)",
    "note": "something a user should know but need not act on (data: waiting, when it waits for admission;"
    " killing, when its container is being stopped)",
    "warning": "something that works here and may not elsewhere (data: stalled, when it may hang;"
    " killing, as for a note)",
    "progress": "a long operation moved on (data: what, done, total in bytes; total is null if unknown)",
    "log": "the task wrote something (data: stream, text)",
}

Listener = Callable[[Event], None]
