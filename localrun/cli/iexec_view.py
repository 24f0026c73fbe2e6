"""A task in the form of `iexec task debug`."""

from __future__ import annotations

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
        **{key: getattr(record, key) for key in ("state", "step", "cause", "message", "remedy", "folder")},
    }


def _deadline(record: TaskRecord) -> str | None:
    """Return the time limit of a started program as a date; None without a limit."""
    started = [since for state, since in record.history if state is TaskState.RUNNING]
    return _date(started[-1] + record.timeout) if started and record.timeout else None


def _task_history(record: TaskRecord) -> list[tuple[str, float]]:
    found = list(as_system.history(record, "iexec"))
    if record.replication and record.replication.reached:
        found.append(("CONSENSUS_REACHED", record.replication.reached))
    return sorted(found, key=lambda entry: entry[1])


def _replicate(worker: str, run: TaskRecord, task: TaskRecord) -> Fields:
    history = sorted(_status_changes(run, task), key=lambda moment: moment[1])
    entries: list[Fields] = []
    for word, since, cause in history:
        if not entries or entries[-1]["status"] != word:
            entries.append(_entry(word, since) | ({"cause": cause} if cause else {}))
    found: Fields = {"worker": worker, "exitCode": run.exit_code, "status": entries[-1]["status"]}
    if run.id != task.id:
        found["taskid"] = run.id
    return {**found, "statusHistory": entries}


def _status_changes(run: TaskRecord, task: TaskRecord) -> Iterator[tuple[str, float, str]]:
    """Yield (status, since, failure cause) of a replicate from the states and steps of its task.

    For entries with the same time, the order matters.
    """
    for step in run.steps:
        if step.name is StepName.PERMISSIONS and step.started is not None:
            yield "APP_DOWNLOADED", step.started, ""
        if step.name is StepName.TASK and step.finished is not None and step.exit_code == 0:
            yield "COMPUTED", step.finished, ""
    for found, since in as_system.translations(run, "iexec"):
        yield found.replica, since, found.cause
    if run.id != task.id and task.ended is not None:
        yield from _verdict(run, task)


def _verdict(run: TaskRecord, task: TaskRecord) -> Iterator[tuple[str, float, str]]:
    """Yield the result of the comparison for a replica that finished."""
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
