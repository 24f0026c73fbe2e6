"""A task of a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from localrun.errors import UsageError
from localrun.task.states import TaskState


class ServedTask(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "task_id"}):
    """A task as the server describes it. `details` has all keys of the response."""

    id: str
    state: TaskState
    status: str = ""  # the word of the Task System
    cause: str | None = None
    message: str = ""
    remedy: str = ""
    name: str = ""
    assigned_by: str = ""
    exit_code: int | None = None
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)
    missing: list[str] = msgspec.field(default_factory=list)  # the inputs that it waits for
    outputs: dict[str, Any] = msgspec.field(default_factory=dict)
    result: dict[str, Any] | None = None
    problems: list[dict[str, Any]] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    details: dict[str, Any] = msgspec.field(default_factory=dict)

    def output(self, name: str) -> dict[str, str]:
        """Return an output as an input for another task, which waits for it if this one has not ended."""
        return {"task": self.id, "output": name}

    @property
    def is_finished(self) -> bool:
        """Whether the task has ended with valid outputs."""
        return self.state is TaskState.FINISHED


def read_task(found: Mapping[str, Any]) -> ServedTask:
    """Return the task of a response."""
    return msgspec.convert({**found, "details": dict(found)}, ServedTask)


def id_of(task: ServedTask | str) -> str:
    return task if isinstance(task, str) else task.id


def path_of(task: ServedTask | str) -> str:
    """Return the path of a task's requests. Raises `UsageError` if its id is empty."""
    if not id_of(task):
        raise UsageError("the task id is empty", remedy="pass the id of a task")
    return f"/task/{quote(id_of(task), safe='')}"
