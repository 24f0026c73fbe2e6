"""Describe the replicas of a task."""

from __future__ import annotations

from collections.abc import Iterator

from localrun.console.display.sanitize import escape_control_chars
from localrun.task.record import Replica, Replication, TaskRecord, short_id
from localrun.task.states import TaskState

_DIGITS = 18  # of a digest: enough to tell results apart


def facts(record: TaskRecord) -> Iterator[tuple[str, str]]:
    """Yield (label, text) pairs for a replicated task or a replica; nothing for any other task."""
    if record.replica is not None:
        yield "replica", _describe_replica(record.replica)
    if record.replication is not None:
        yield "replicas", _describe_agreement(record, record.replication)
        yield from _details(record.replication)


def _describe_replica(replica: Replica) -> str:
    varied = ", ".join(f"{name} {value}" for name, value in replica.varied.items())
    return escape_control_chars(
        f"number {replica.number} of task {short_id(replica.parent_id)}, with {varied}"
    )


def _describe_agreement(record: TaskRecord, replication: Replication) -> str:
    count = len(replication.ids)
    result = record.message if record.state is TaskState.FINISHED else str(count)
    which = f"`localrun logs {record.short_id}/1` to `.../{count}`"
    return escape_control_chars(f"{result}; {replication.agree} must agree; each is a task: {which}")


def _details(replication: Replication) -> Iterator[tuple[str, str]]:
    for group in replication.groups:
        numbers = ", ".join(map(str, group.replicas))
        yield f"result of {numbers}", f"{group.digest[:_DIGITS]}..."
    for number, cause in replication.failed.items():
        yield f"no result of {number}", cause
    for name, values in replication.varied.items():
        yield f"varied {name}", escape_control_chars(", ".join(value or "-" for value in values))
    for name, value in replication.unvaried.items():
        yield f"fixed {name}", escape_control_chars(f"{value} (set by the image or the task)")


def fact_lines(record: TaskRecord) -> Iterator[str]:
    return (f"{label}: {text}" for label, text in facts(record))
