"""The objects of the API: tasks, their parameters and types, and runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from localrun.descriptor import Parameter
from localrun.descriptor.types import (
    Array,
    DataType,
    DateTime,
    Enumeration,
    File,
    Image,
    Integer,
    Number,
    String,
)
from localrun.server.appengine.uploaded_tasks import UploadedTask
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.undecodable import encode_json

Fields = dict[str, Any]


def task_description(task: UploadedTask) -> Fields:
    """Return a TaskDescription."""
    found = task.descriptor
    return {
        "id": task.id,
        "name": found.name,
        "namespace": found.namespace,
        "version": found.version,
        "description": found.description or None,
        "authors": [
            {
                "firstName": author.first_name,
                "lastName": author.last_name,
                "organization": author.organization,
                "email": author.email,
                "isContact": author.is_contact,
            }
            for author in found.authors
        ],
    }


def task_input(task: UploadedTask, parameter: Parameter) -> Fields:
    """Return a TaskInput. `display_name` is its only key in snake case, which Cytomine's page reads."""
    return {
        "id": task.parameter_id(f"inputs/{parameter.name}"),
        "default": _default(parameter),
        "name": parameter.name,
        "display_name": parameter.display_name,
        "description": parameter.description,
        "optional": parameter.optional,
        "type": type_object(parameter.type),
    }


def _default(parameter: Parameter) -> str:
    if not parameter.has_default or parameter.default is None:
        return "null"
    value = parameter.default
    if isinstance(value, (list, dict)):
        return encode_json(value).decode()
    return value if isinstance(value, str) else parameter.type.to_text(value)


def task_output(task: UploadedTask, parameter: Parameter) -> Fields:
    """Return a TaskOutput. Outputs are never optional: App Engine does not read this key of a descriptor."""
    source = (parameter.derived_from or "").removeprefix("inputs/")
    return {
        "id": task.parameter_id(f"outputs/{parameter.name}"),
        "name": parameter.name,
        "displayName": parameter.display_name,
        "description": parameter.description,
        "optional": False,
        "type": type_object(parameter.type),
        "derivedFrom": source if source in task.descriptor.inputs else None,
    }


def type_object(kind: DataType) -> Fields:
    """Return the type of a parameter; bounds that are not set are omitted."""
    found: Fields = {"id": kind.id}
    match kind:
        case Integer():
            found |= _present(gt=kind.gt, lt=kind.lt, geq=kind.geq, leq=kind.leq)
        case Number():
            bounds = _present(gt=kind.gt, geq=kind.geq, lt=kind.lt, leq=kind.leq)
            found |= {name: float(bound) for name, bound in bounds.items()}
            found |= {"infinityAllowed": kind.infinity_allowed, "nanAllowed": kind.nan_allowed}
        case String():
            found |= {"minLength": kind.min_length, **_present(maxLength=kind.max_length)}
        case Enumeration():
            found["values"] = list(kind.values)
        case DateTime():
            found |= _present(before=kind.before, after=kind.after)
        case File() | Image():
            found["formats"] = list(kind.formats) or None
        case Array():
            found |= _present(minSize=kind.min_size, maxSize=kind.max_size)
            found["subType"] = type_object(kind.subtype)
    return found


def _present(**fields: Any) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}


def run_object(run_id: str, task: UploadedTask, state: str) -> Fields:
    """Return a TaskRun, as for a run that was created or is listed."""
    return {"id": run_id, "task": task_description(task), "state": state}


def run_response(run_id: str, task: UploadedTask, state: str, created: float) -> Fields:
    """Return a TaskRunResponse. `created` is in seconds since 1970."""
    at = datetime.fromtimestamp(created).isoformat(timespec="microseconds")  # local time, without a zone
    return {**run_object(run_id, task, state), "createdAt": at, "updatedAt": None}


def transition_response(run_id: str, task: UploadedTask, state: str) -> Fields:
    """Return the answer to a state action: its state is the requested one, and its times are the present."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    resource = {**run_object(run_id, task, state), "createdAt": now, "updatedAt": now}
    return {"status": "success", "resource": resource}


def state_name(record: TaskRecord) -> str:
    """Return the state of a run. A task that was killed has FAILED: App Engine has no such state."""
    if record.state is TaskState.KILLED:
        return str(TaskState.FAILED)
    if record.state is TaskState.PROVISIONED and not record.run_plan.held:
        return str(TaskState.QUEUING)
    return str(record.state)
