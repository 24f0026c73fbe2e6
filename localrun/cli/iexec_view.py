"""A task in the form of `iexec task debug`."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from localrun.cli import as_system
from localrun.task.record import TaskRecord
from localrun.task.states import StepName, TaskState

if TYPE_CHECKING:
    from localrun.task.workspace import Workspace

MAX_LOG_CHARS = 100_000  # of a stream, as iExec's scheduler keeps them
Fields = dict[str, Any]
StatusChange = tuple[str, float, str]  # status, since, cause of a failure
WorkerRun = tuple[str, TaskRecord]  # the name of a worker and the task that it executed

_STATUSES = {  # of a contribution; ACTIVE in all other states
    TaskState.CREATED: "UNSET",
    TaskState.FINISHED: "COMPLETED",
    TaskState.FAILED: "FAILED",
    TaskState.KILLED: "FAILED",
}


def view(record: TaskRecord, replicas: list[TaskRecord]) -> Fields:
    """Return everything but the logs. `replicas` are the existing replicas of the task."""
    runs = worker_runs(record, replicas)
    return {
        "local": _local(record, runs),
        "offchainData": {
            "task": {
                "status": as_system.translate(record, "iexec").status,
                "statusHistory": [_entry(word, since) for word, since in _task_history(record)],
            },
            "replicates": [_replicate(worker, run, record) for worker, run in runs],
        },
    }


def worker_runs(record: TaskRecord, replicas: list[TaskRecord]) -> list[WorkerRun]:
    """Return the runs of a task: its replicas, or the task itself; none for a task without a container."""
    if record.kind == "manual":
        return []
    if record.replication is None:
        return [("local-1", record)]
    return [(f"local-{run.replica.number}", run) for run in replicas if run.replica is not None]


def log(worker: str, workspace: Workspace) -> Fields:
    """Return the end of a worker's log."""
    from localrun.task.log import tail_by_stream

    return {"worker": worker, **tail_by_stream(workspace.log, MAX_LOG_CHARS)}


def _local(record: TaskRecord, runs: list[WorkerRun]) -> Fields:
    """Return the section in place of the on-chain data: the keys that apply here, and localrun's own."""
    groups = record.replication.groups if record.replication else []
    agreed = groups[0] if groups and record.replication and record.replication.reached else None
    ended = record.ended
    digest = record.outputs.get("digest") if record.run_plan.profile == "iexec" else None
    value = digest or (agreed.digest if agreed else None)
    return {
        "taskid": record.id,
        "statusName": "TIMEOUT" if record.cause == "TIMEOUT" else _STATUSES.get(record.state, "ACTIVE"),
        "taskTimedOut": record.cause == "TIMEOUT",
        "finalDeadline": _deadline(record),
        "contributors": [f"local-{number}" for group in groups for number in group.replicas],
        "consensusValue": value,
        "winnerCounter": len(agreed.replicas) if agreed else 0,
        "resultDigest": value,
        "results": {"storage": "folder", "location": f"{record.folder}/outputs"} if runs else None,
        "resultsTimestamp": _date(ended) if ended and record.state is TaskState.FINISHED else None,
        "name": record.name,
        "app": record.image_name or record.image or None,
        "mounts": [str(mount) for mount in record.run_plan.bind_mounts],
        **{key: getattr(record, key) for key in ("state", "step", "cause", "message", "remedy", "folder")},
    }


def _deadline(record: TaskRecord) -> str | None:
    """Return the time limit of a started program as a date; None without a limit."""
    started = [since for state, since in record.history if state is TaskState.RUNNING]
    return _date(started[-1] + record.timeout) if started and record.timeout else None


def _task_history(record: TaskRecord) -> list[tuple[str, float]]:
    found = list(as_system.history(record, "iexec"))
    reached = record.replication.reached if record.replication else None
    agreed = [("CONSENSUS_REACHED", reached)] if reached else []
    return list(heapq.merge(found, agreed, key=lambda entry: entry[1]))


def _replicate(worker: str, run: TaskRecord, task: TaskRecord) -> Fields:
    entries: list[Fields] = []
    for word, since, cause in (*_status_changes(run), *_verdict(run, task)):
        if not entries or entries[-1]["status"] != word:
            entries.append(_entry(word, since) | ({"cause": cause} if cause else {}))
    found: Fields = {"worker": worker, "exitCode": run.exit_code, "status": entries[-1]["status"]}
    if run.id != task.id:
        found["taskid"] = run.id
    return {**found, "statusHistory": entries}


def _status_changes(run: TaskRecord) -> list[StatusChange]:
    """Return the changes of a replicate in order, from the states and steps of its task."""
    found = [(each.replica, since, each.cause) for each, since in as_system.translations(run, "iexec")]
    for step in run.steps:
        if step.name is StepName.PERMISSIONS and step.started is not None:
            found.insert(_last(found, "DATA_DOWNLOADED"), ("APP_DOWNLOADED", step.started, ""))
        if step.name is StepName.TASK and step.finished is not None and step.exit_code == 0:
            found.insert(_last(found, "COMPUTING") + 1, ("COMPUTED", step.finished, ""))
    return found


def _last(changes: list[StatusChange], word: str) -> int:
    """Return the position of the last change to a status; that of the last change without it."""
    found = (number for number, change in enumerate(changes) if change[0] == word)
    return max(found, default=len(changes) - 1)


def _verdict(run: TaskRecord, task: TaskRecord) -> Iterator[StatusChange]:
    """Yield the result of the comparison for a replica that finished."""
    if run.id == task.id:
        return
    replication, ended = task.replication, task.ended
    if replication is None or ended is None or run.replica is None or run.state is not TaskState.FINISHED:
        return
    groups = [group.replicas for group in replication.groups]
    if replication.reached and run.replica.number not in groups[0]:
        yield "FAILED", ended, "CONSENSUS_REACHED"
    elif not replication.reached and groups:
        yield "FAILED", ended, "CONTRIBUTION_TIMEOUT"


def _entry(word: str, since: float) -> Fields:
    return {"status": word, "date": _date(since)}


def _date(since: float) -> str:
    return datetime.fromtimestamp(since, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
