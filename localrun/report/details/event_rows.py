"""The events table of a task, with Kubernetes' reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from localrun.console.usage import format_resources
from localrun.errors import Cause
from localrun.runner.diagnosis import first_line
from localrun.task.events import Event
from localrun.task.record import TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.task.workspace import Workspace
from localrun.units import format_duration


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of the table. Times are in seconds since 1970; `count` events happened since `first`."""

    type: str
    reason: str
    source: str
    message: str
    time: float
    first: float
    count: int = 1

    def as_dict(self, now: float) -> dict[str, Any]:
        """Return a JSON-ready form with the age in seconds."""
        return {
            "type": self.type,
            "reason": self.reason,
            "age": round(max(0.0, now - self.time), 3),
            "from": self.source,
            "message": self.message,
            "time": self.time,
            "count": self.count,
            "first_age": round(max(0.0, now - self.first), 3),
        }


REASONS = {
    Cause.OUT_OF_MEMORY: "OOMKilled",
    Cause.DISK_PRESSURE: "Evicted",
    Cause.TIMEOUT: "DeadlineExceeded",
    Cause.IMAGE_MISSING: "ErrImageNeverPull",
    Cause.IMAGE_PULL_FAILED: "ErrImagePull",
    Cause.ENTRYPOINT_INVALID: "StartError",
    Cause.IMAGE_PLATFORM: "StartError",
    Cause.CPU_UNAVAILABLE: "FailedScheduling",
    Cause.MEMORY_UNAVAILABLE: "FailedScheduling",
    Cause.GPU_UNAVAILABLE: "FailedScheduling",
    Cause.DISK_UNAVAILABLE: "FailedScheduling",
}
_IMAGE_MESSAGES = {
    "present": "Container image {} already present on machine",
    "loaded": "Loaded image {} from the bundle in {}",
    "built": "Built image {} from its folder in {}",
    "pulled": "Successfully pulled image {} in {}",
    "": "Container image {} is available",
}


def event_rows(record: TaskRecord, workspace: Workspace) -> list[EventRow]:
    """Return the rows, oldest first; consecutive equal events are one row with a count."""
    events = list(workspace.read_events()) or [_state_event(record, *entry) for entry in record.history]
    rows = [row for event in events for row in _rows(record, event)]
    stopped = workspace.kill_requested_at
    if stopped is not None and not any(row.reason == "Killing" for row in rows):
        rows.append(_row("Killing", "manager", "Stopping the task on request", stopped))
    found: list[EventRow] = []
    for row in sorted(rows, key=lambda row: row.time):
        last = found[-1] if found else None
        if last and (last.reason, last.message) == (row.reason, row.message):
            found[-1] = replace(last, time=row.time, count=last.count + 1)
        else:
            found.append(row)
    return found


def _state_event(record: TaskRecord, state: TaskState, since: float) -> Event:
    """Return an event from the history of an imported task, which has no events."""
    facts = {"state": str(state), "message": record.message} if state.is_final else {"state": str(state)}
    return Event("state", record.id, str(state), facts, since)


def _row(reason: str, source: str, message: str, time: float, *, is_warning: bool = False) -> EventRow:
    return EventRow("Warning" if is_warning else "Normal", reason, source, message, time, time)


def _rows(record: TaskRecord, event: Event) -> Iterator[EventRow]:
    match event.kind:
        case "state":
            yield from _state_rows(record, event)
        case "step":
            yield from _step_rows(record, event)
        case "note" | "warning":
            yield _note_row(event)


def _note_row(event: Event) -> EventRow:
    is_warning, message, at = event.kind == "warning", event.message, event.time
    if event.data.get("waiting"):
        return _row("FailedScheduling", "admission", message, at, is_warning=True)
    if event.data.get("killing"):
        return _row("Killing", "runner", f"Stopping container task: {message}", at, is_warning=is_warning)
    if event.data.get("stalled"):
        return _row("Stalled", "runner", message, at, is_warning=True)
    return _row("Advice" if is_warning else "Noted", "runner", message, at, is_warning=is_warning)


def _state_rows(record: TaskRecord, event: Event) -> Iterator[EventRow]:
    state, at = str(event.data.get("state")), event.time
    if state == TaskState.CREATED:
        source = f"from {record.bundle}" if record.bundle else "without a container"
        yield _row("Submitted", "manager", f"Created task {source}", at)
    elif state == TaskState.QUEUED:
        yield _row("Scheduled", "admission", _assigned(record), at)
    elif state == TaskState.PENDING and record.kind != "manual":
        yield _row("Pulling", "engine", f"Looking for image {_image(record)}", at)
    elif state == TaskState.RUNNING:
        which = "the container of a replica" if record.kind == "replicated" else "container task"
        yield _row("Started", "engine", f"Started {which}", at)
    elif state in TaskState.__members__ and TaskState(state).is_final:
        yield _end_row(record, event)


def _assigned(record: TaskRecord) -> str:
    resources = format_resources(record.resources)
    if record.kind == "replicated":
        return f"Each replica is assigned separately: {resources}"
    host = record.owner.host if record.owner else "this machine"
    return f"Successfully assigned {record.id} to {host}: {resources} reserved"


def _image(record: TaskRecord) -> str:
    name = record.image_name or record.run_plan.image or record.image
    return f'"{name}"' if name else "of the bundle"


def _step_rows(record: TaskRecord, event: Event) -> Iterator[EventRow]:
    step, status, at = event.data.get("step"), event.data.get("status"), event.time
    if status == "started" and step == StepName.PERMISSIONS:
        yield _row("Pulled", "engine", _image_message(record), at)
        yield _row("Started", "runner", "Started step permissions, on the host", at)
    elif status == "started" and step == StepName.TASK and record.kind == "replicated":
        yield _row("Pulled", "engine", _image_message(record), at)
        yield _row("Created", "manager", f"Created {record.run_plan.replicas} replicas", at)
    elif status == "started" and step == StepName.TASK:
        yield _row("Created", "engine", f"Created container: task ({(record.container or '')[:12]})", at)
    elif status == "started":
        yield _row("Started", "runner", "Started step outputs, on the host", at)
    elif status == "failed" and step == StepName.OUTPUTS:
        yield _row("OutputsInvalid", "runner", f"Step outputs failed: {record.message}", at, is_warning=True)


def _image_message(record: TaskRecord) -> str:
    seconds = format_duration(record.timings.get("image", 0.0))
    return _IMAGE_MESSAGES[record.image_from].format(_image(record), seconds)


def _end_row(record: TaskRecord, event: Event) -> EventRow:
    at, message = event.time, str(event.data.get("message") or record.message)
    if record.state is TaskState.FINISHED:
        return _row("Completed", "runner", "Every declared output exists and is valid", at)
    if record.state is TaskState.KILLED:
        return _row("Killed", "runner", message, at)
    cause = Cause.__members__.get(record.cause or "")
    reason = REASONS.get(cause, "Failed") if cause else "Failed"
    return _row(
        reason, "runner", f"{record.cause}: {first_line(message) or 'it failed'}", at, is_warning=True
    )
