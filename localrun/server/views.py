"""JSON forms of a task, with the keys of the Task System's guide and additional ones."""

from __future__ import annotations

from typing import Any

from localrun.platforms.vocabulary.task_system import STATUSES
from localrun.report.details.rows import shown_message
from localrun.server.timestamps import now, to_iso
from localrun.task import metadata
from localrun.task.record import TaskRecord

_STEP_KEYS = ("name", "how", "message", "exit_code", "seconds")


def summary(record: TaskRecord) -> dict[str, Any]:
    return {
        "task_id": record.id,
        "task": submitted_task(record),
        "assigned_by": record.assigned_by,
        "metadata": metadata.of(record),
        "timestamp": to_iso(record.created),
        "state": record.state,
        "status": STATUSES[record.state],
        "step": record.step,
        "cause": record.cause,
        "message": shown_message(record),
        "replica_of": record.replica.parent_id if record.replica else None,
    }


def details(record: TaskRecord, reason: str = "") -> dict[str, Any]:
    """Return a task with all details; `reason` is what it waits for once it is queued."""
    ended = record.ended
    return {
        **summary(record),
        "message": shown_message(record) or reason,
        "remedy": record.remedy,
        "rerun_of": record.rerun_of or None,
        "batch": record.batch,
        "node": record.node or None,
        "name": record.name,
        "bundle": record.bundle,
        "image": record.image or record.image_name,
        "exit_code": record.exit_code,
        "inputs": record.inputs or record.received,
        "missing": record.missing,
        "received": record.received,
        "sources": record.sources,
        "regions": record.regions,
        "crops": record.crops,
        "outputs": record.outputs,
        "result": record.result,
        "problems": record.problems,
        "warnings": record.warnings,
        "resources": record.resources,
        "usage": record.usage,
        "replica": record.replica,
        "replication": record.replication,
        "timeout": record.timeout,
        "steps": [{key: getattr(step, key) for key in _STEP_KEYS} for step in record.steps],
        "timings": record.timings,
        "history": [{"state": state, "timestamp": to_iso(when)} for state, when in record.history],
        "completed_at": to_iso(ended) if ended is not None else None,
        "processing_time_ms": round((ended - record.created) * 1000, 3) if ended is not None else None,
    }


def task_response(record: TaskRecord, reason: str = "") -> dict[str, Any]:
    return {"status": "success", "task": details(record, reason), "timestamp": now()}


def submitted_task(record: TaskRecord) -> dict[str, Any]:
    """Return the submitted object, or its equivalent for a task of the command line."""
    if record.submitted is not None:
        return record.submitted
    return {"bundle": record.bundle, "inputs": record.inputs}
