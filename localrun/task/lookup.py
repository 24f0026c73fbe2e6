"""The task that a user means: by its id, the beginning of it, `last`, or as a replica of another."""

from __future__ import annotations

import os
from pathlib import Path

from localrun.errors import TaskNotFound
from localrun.task.store import LAST, TaskStore
from localrun.task.workspace import Workspace


def find(home: TaskStore, prefix: str) -> Workspace:
    """The one task whose id starts with `prefix`, or `last`; `PREFIX/2` is its second replica.

    Raises `TaskNotFound`.
    """
    whole, slash, number = prefix.partition("/")
    if slash:
        return _replica(home, find(home, whole), number)
    if prefix == LAST:
        newest = next((place for place in home.newest_first() if not _is_replica(place)), None)
        if newest is None:
            raise TaskNotFound(f"there are no tasks in {home.path}", remedy="run one: `localrun run BUNDLE`")
        return newest
    matches = _matching(home, prefix)
    if len(matches) == 1:
        return home.open(matches[0])
    raise _not_one(prefix, sorted(matches), home.path)


def _replica(home: TaskStore, workspace: Workspace, number: str) -> Workspace:
    record = workspace.load()
    ids = record.replication.ids if record.replication else []
    known = number.isdecimal() and 1 <= int(number) <= len(ids) and home.find(ids[int(number) - 1])
    if not known:
        count = f"its replicas are 1 to {len(ids)}" if ids else "it has no replicas"
        raise TaskNotFound(
            f"the task {workspace.short_id} has no replica {number!r}", remedy=count, id=workspace.id
        )
    return known


def _is_replica(workspace: Workspace) -> bool:
    record = workspace.load_or_none()
    return record is not None and record.replica is not None


def _matching(home: TaskStore, prefix: str) -> list[str]:
    if not prefix or not home.tasks.is_dir():
        return []
    return [name for name in os.listdir(home.tasks) if name.startswith(prefix.lower())]  # noqa: PTH208 - names


def _not_one(prefix: str, matches: list[str], home: Path) -> TaskNotFound:
    if matches:
        shown = ", ".join(name[:13] for name in matches[:5])
        return TaskNotFound(
            f"several tasks start with {prefix!r}: {shown}", remedy="give more of the id", id=prefix
        )
    return TaskNotFound(
        f"no task {prefix!r} in {home}",
        remedy="`localrun list` shows the tasks of this folder; LOCALRUN_HOME names another",
        id=prefix,
    )
