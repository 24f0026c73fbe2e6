"""Events of tasks, and the functions that receive them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True):
    """An event of a task.

    `kind` is a key of `KINDS`, `message` is for people, `data` for programs, `time` in seconds since 1970
    (UTC).
    """

    kind: str
    task_id: str
    message: str = ""
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    time: float = msgspec.field(default_factory=time.time)


# kind -> meaning. No other kind may be emitted: readers of a journal rely on this list.
KINDS: dict[str, str] = {
    "state": "the task entered a state (data: state, cause, assigned_by; at the end: message, exit_code)",
    "step": "a step started or ended (data: step, status: started|finished|failed, seconds)",
    "note": "information for the user (data: waiting, while the task waits for admission;"
    " killing, while its container is being stopped)",
    "warning": "a possible problem, on this machine or on a platform (data: stalled, if the task may hang;"
    " killing, as for a note)",
    "progress": "progress of a long operation (data: what, done, total in bytes; total is null if unknown)",
    "log": "output of the task (data: stream, text)",
}

Listener = Callable[[Event], None]
