"""Find a task by its id, a prefix of it, `last`, or its number as a replica."""

from __future__ import annotations

import os
from pathlib import Path

from localrun.errors import TaskNotFound
from localrun.task.store import LAST, TaskStore
from localrun.task.workspace import Workspace


def find(store: TaskStore, prefix: str) -> Workspace:
    """Return the only task whose id starts with `prefix`, or the newest for `last`. Raises `TaskNotFound`.

    `PREFIX/2` is the second replica of such a task. `0x...` is the beginning of an `IEXEC_TASK_ID`, of whose
    tasks the newest is returned: equal inputs have equal ids.
    """
    whole, slash, number = prefix.partition("/")
    if slash:
        return _replica(store, find(store, whole), number)
    if prefix == LAST:
        newest = next((workspace for workspace in store.newest_first() if not _is_replica(workspace)), None)
        if newest is None:
            raise TaskNotFound(f"there are no tasks in {store.path}", remedy="run one: `localrun run BUNDLE`")
        return newest
    if prefix[:2].lower() == "0x":
        return _of_iexec(store, prefix)
    if (exact := store.find(prefix)) is not None:
        return exact
    matches = _matching(store, prefix)
    if len(matches) == 1:
        return store.open(matches[0])
    raise _not_found(prefix, sorted(matches), store.path)


def _replica(store: TaskStore, workspace: Workspace, number: str) -> Workspace:
    record = workspace.load()
    ids = record.replication.ids if record.replication else []
    found = (
        number.isdecimal()
        and len(number) < 10
        and 1 <= int(number) <= len(ids)
        and store.find(ids[int(number) - 1])
    )
    if not found:
        remedy = f"use a number from 1 to {len(ids)}" if ids else "it has no replicas"
        message = f"task {workspace.short_id} has no replica {number!r}"
        raise TaskNotFound(message, remedy=remedy, id=workspace.id)
    return found


def _of_iexec(store: TaskStore, prefix: str) -> Workspace:
    found: dict[str, Workspace] = {}  # the newest task of each id
    for workspace in store.newest_first():
        record = workspace.load_or_none()
        if record is not None and record.replica is None:
            task_id = record.run_plan.environment.get("IEXEC_TASK_ID", "")
            if task_id.startswith(prefix.lower()):
                found.setdefault(task_id, workspace)
    if len(found) == 1:
        return next(iter(found.values()))
    raise _not_found(prefix, sorted(found), store.path)


def _is_replica(workspace: Workspace) -> bool:
    record = workspace.load_or_none()
    return record is not None and record.replica is not None


def _matching(store: TaskStore, prefix: str) -> list[str]:
    if not prefix or not store.tasks.is_dir():
        return []
    return [name for name in os.listdir(store.tasks) if name.startswith(prefix.lower())]  # noqa: PTH208 - names


def _not_found(prefix: str, matches: list[str], home: Path) -> TaskNotFound:
    if matches:
        message = f"multiple tasks start with {prefix!r}: {', '.join(name[:13] for name in matches[:5])}"
        return TaskNotFound(message, remedy="use more characters of the id", id=prefix)
    return TaskNotFound(
        f"no task {prefix!r} in {home}",
        remedy="list the tasks of this folder: `localrun list`; use another folder: --home or LOCALRUN_HOME",
        id=prefix,
    )
