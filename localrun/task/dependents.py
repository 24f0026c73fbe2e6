"""The active tasks that have outputs of other tasks as inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from localrun.errors import UsageError
from localrun.task.record import TaskRecord, short_id

_MOST_NAMED = 3


def dependents(records: Iterable[TaskRecord]) -> dict[str, list[TaskRecord]]:
    """Return the active tasks that need, or use, an output of each task, by the id of that task."""
    found: dict[str, list[TaskRecord]] = {}
    for record in records:
        if record.sources and not record.state.is_final:
            for task_id in {source.task for source in record.sources.values() if source.task}:
                found.setdefault(task_id, []).append(record)
    return found


def named(records: Collection[TaskRecord]) -> str:
    """Return e.g. `task 1a2b3c4d, 5e6f7a8b and 3 more`."""
    ids = [record.short_id for record in records][:_MOST_NAMED]
    more = f" and {len(records) - len(ids)} more" if len(records) > len(ids) else ""
    return f"task{'s' if len(records) > 1 else ''} {', '.join(ids)}{more}"


def refuse_if_needed(task_ids: Iterable[str], active: Iterable[TaskRecord]) -> None:
    """Raise `UsageError` if an active task has an output of one of the tasks as an input."""
    found = dependents(active)
    for task_id in task_ids:
        if task_id in found:
            users = found[task_id]
            raise UsageError(
                f"an output of task {short_id(task_id)} is an input of active {named(users)}",
                remedy=f"wait for it: `localrun wait {users[0].short_id}`, or stop it: `localrun kill"
                f" {users[0].short_id}`",
            )
