"""The tasks of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from localrun.api.apps import app_for
from localrun.api.task import Task, TaskHandles
from localrun.errors import Problem, UsageError
from localrun.task import metadata as metadata_of_tasks
from localrun.task.selection import Since, TaskSelection, parse_since, parse_states
from localrun.task.states import TaskState


def tasks(
    home: str | os.PathLike[str] | None = None,
    *,
    state: TaskState | str | Iterable[TaskState | str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    since: Since | None = None,
    limit: int | None = None,
) -> TaskHandles:
    """Return the tasks in the folder `home`, newest first, without replicas; at most `limit` of them.

    Only those in `state` (one, or multiple), with all values of `metadata`, with a `name` of this pattern,
    such as `"add*"`, and created `since` a time: a `datetime`, seconds since 1970, or a text such as `"2h"`
    (ago) or `"2026-11-30T12:00"`.

    `home` None: LOCALRUN_HOME, or `.localrun` in the working directory. Raises `UsageError` for an invalid
    condition.
    """
    selection = TaskSelection(
        states=parse_states(state),
        metadata=metadata_of_tasks.check(metadata or {}),
        name=name,
        since=None if since is None else _parse_since(since),
    )
    app = app_for(home)
    return TaskHandles(Task(record.id, app.settings.home) for record in app.tasks(limit, selection))


def _parse_since(since: Since) -> float:
    try:
        return parse_since(since)
    except ValueError as error:
        problems = [Problem("since", str(error))]
        raise UsageError("invalid time", remedy="pass a datetime, or e.g. '2h'", problems=problems) from None
