"""What is said of a task's replicas, for people."""

from __future__ import annotations

from collections.abc import Iterator

from localrun.console.display.sanitize import escape_control_chars
from localrun.task.record import Replica, Replication, TaskRecord, short_id
from localrun.task.states import TaskState

_DIGITS = 18  # of a digest: enough to tell results apart


def facts(record: TaskRecord) -> Iterator[tuple[str, str]]:
    """(label, text) for a task with replicas, or for one of them; nothing for any other task."""
    if record.replica is not None:
        yield "replica", _which(record.replica)
    if record.replication is not None:
        yield "replicas", _how_many(record, record.replication)
        yield from _all(record.replication)


def _which(replica: Replica) -> str:
    varied = ", ".join(f"{name} {value}" for name, value in replica.varied.items())
    return escape_control_chars(
        f"number {replica.number} of the task {short_id(replica.parent_id)}, with {varied}"
    )


def _how_many(record: TaskRecord, replication: Replication) -> str:
    count = len(replication.ids)
    told = record.message if record.state is TaskState.FINISHED else str(count)
    which = f"`localrun logs {record.short_id}/1` to `.../{count}`"
    return escape_control_chars(f"{told}; {replication.agree} must agree; each is a task: {which}")


def _all(replication: Replication) -> Iterator[tuple[str, str]]:
    for group in replication.groups:
        numbers = ", ".join(map(str, group.replicas))
        yield f"result of {numbers}", f"{group.digest[:_DIGITS]}..."
    for number, cause in replication.failed.items():
        yield f"no result of {number}", cause
    for name, values in replication.varied.items():
        yield f"varied {name}", escape_control_chars(", ".join(value or "-" for value in values))
    for name, value in replication.unvaried.items():
        yield f"kept {name}", escape_control_chars(f"{value} (the image or the task sets it)")


def fact_lines(record: TaskRecord) -> Iterator[str]:
    """One line for each fact."""
    return (f"{label}: {text}" for label, text in facts(record))
