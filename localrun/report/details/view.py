"""A task with everything that the web page and reports show of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from localrun.console import ownership
from localrun.errors import Cause
from localrun.masking.redaction import Redactor
from localrun.report.details import parameters
from localrun.report.details.commands import options_of, run_command
from localrun.report.details.docker_command import docker_command
from localrun.report.details.event_rows import event_rows
from localrun.report.details.rows import complete_row, read_descriptor, shown_message, task_row
from localrun.report.details.timeline import timeline, usage
from localrun.task.causes import EXPLANATIONS
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.listing import list_folder

Fields = dict[str, Any]


def task_view(record: TaskRecord, workspace: Workspace, replicas: Sequence[TaskRecord], now: float) -> Fields:
    """Return the details of a task as JSON-ready fields. `now` is in seconds since 1970."""
    descriptor = read_descriptor(workspace)
    redactor = Redactor()
    return {
        "row": complete_row(task_row(record), record, workspace),
        "headline": headline(record),
        "actions": actions(record),
        "timeline": timeline(record, workspace, now),
        "usage": usage(record, workspace),
        "disk": {
            "inputs": list_folder(workspace.inputs).size,
            "outputs": list_folder(workspace.outputs).size,
            "log": _size(workspace),
        },
        "log": {"size": _size(workspace), "url": f"/task/{record.id}/logs"},
        "inputs": parameters.input_fields(record, workspace, descriptor) if descriptor else [],
        "outputs": parameters.output_fields(record, workspace, descriptor) if descriptor else [],
        "problems": record.problems,
        "warnings": record.warnings,
        "events": [
            _event(redactor.redact(row.as_dict(now)), row.first) for row in event_rows(record, workspace)
        ],
        "replicas": _replicas(record, workspace, replicas),
        "commands": {"run": command(record, workspace), "docker": docker_command(record, workspace)},
    }


def headline(record: TaskRecord) -> Fields:
    """Return the state of a task, and why it ended."""
    cause = Cause.__members__.get(record.cause or "")
    redactor = Redactor()
    return {
        "state": str(record.state),
        "cause": record.cause,
        "explanation": EXPLANATIONS[cause].what if cause in EXPLANATIONS else "",
        "message": redactor.redact_text(shown_message(record)),
        "remedy": record.remedy,
        "owner": ownership.orphan_hint(record) or ownership.owner_text(record) or None,
    }


def actions(record: TaskRecord) -> Fields:
    """Return what can be done with a task, and why it cannot run again."""
    is_final, problem = record.state.is_final, ""
    if record.kind == "manual":
        problem = "it has no container; submit it again"
    elif record.missing and not is_final:
        problem = "it waits for inputs"
    elif record.waiting_for:
        problem = "it was not started"
    elif record.run_plan.secret_names:
        problem = "it had secrets, which are not stored; run its app again"
    elif record.run_plan.bind_mounts:
        problem = "it mounts paths of this machine; use `localrun rerun` there"
    return {
        "kill": not is_final,
        "rerun": not problem,
        "remove": is_final,
        "complete": record.kind == "manual" and not is_final,
        "rerun_problem": problem,
    }


def command(record: TaskRecord, workspace: Workspace) -> str:
    """Return the `localrun` command that runs a task again; empty for a manual task."""
    plan = record.run_plan
    if record.kind == "manual":
        return ""
    if plan.profile != "bundle" or not plan.bundle:
        return f"localrun rerun {record.short_id}"
    return run_command(
        plan.bundle, record.inputs or plan.values, options_of(record), read_descriptor(workspace)
    )


def _event(fields: Fields, first: float) -> Fields:
    return {key: fields[key] for key in ("type", "reason", "from", "message", "time", "count")} | {
        "first": first
    }


def _size(workspace: Workspace) -> int:
    try:
        return workspace.log.stat().st_size
    except OSError:
        return 0


def _replicas(record: TaskRecord, workspace: Workspace, replicas: Sequence[TaskRecord]) -> Fields | None:
    plain = record.as_dict()["replication"]
    if plain is None and record.replica is None:
        return None
    names = ("agree", "reached", "groups", "varied")
    renamed = {"failed": "without", "omitted": "left_out", "unvaried": "kept"}
    found = plain or {}
    return {
        "parent": record.replica.parent_id if record.replica else None,
        "tasks": [
            complete_row(task_row(one), one, Workspace(workspace.path.parent / one.id)) for one in replicas
        ],
        **{name: found.get(name) for name in names},
        **{name: found.get(stored) for name, stored in renamed.items()},
        "disagreements": [
            {("variants" if key == "sides" else key): value for key, value in one.items()}
            for one in found.get("disagreements") or []
        ],
    }
