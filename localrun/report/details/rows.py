"""A task as one row of a list."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from localrun import descriptor, fs
from localrun.console.results import value_text
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, Image
from localrun.errors import DescriptorError
from localrun.runner.diagnosis import first_line
from localrun.runner.usage import UsageSample, last_sample
from localrun.task import metadata
from localrun.task.record import TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.task.workspace import Workspace

MAX_VALUES = 4  # of a row
MAX_TEXT = 80  # characters of a value

Row = dict[str, Any]


def task_row(record: TaskRecord) -> Row:
    """Return the row of a task: times in seconds since 1970, sizes in bytes.

    It is made from the record alone. `complete_row` adds what is in other files.
    """
    usage, replica = record.usage, record.replica
    return {
        "id": record.id,
        "name": record.name,
        "bundle": record.bundle,
        "kind": record.kind,
        "state": str(record.state),
        "final": record.state.is_final,
        "step": record.step,
        "cause": record.cause,
        "message": first_line(shown_message(record)),
        "assigned_by": record.assigned_by,
        "created": record.created,
        "started": program_start(record),
        "ended": record.ended,
        "seconds": record.seconds_until(record.created) if record.state.is_final else None,
        "cpus": record.resources.cpus,
        "memory_limit": record.resources.memory,
        "memory": None,
        "memory_peak": usage.memory_peak if usage else None,
        "exit_code": record.exit_code,
        "replica_of": replica.parent_id if replica else None,
        "replica": replica.number if replica else None,
        "replicas": len(record.replication.ids) if record.replication else 0,
        "batch": record.batch,
        "node": record.node or None,
        "warnings": len(record.warnings),
        "problems": len(record.problems),
        "values": short_values(record.outputs or record.result or {}, (f"{record.folder}/",), MAX_VALUES),
        "image": None,
    }


def shown_message(record: TaskRecord) -> str:
    """Return the message of a task: why it ended, or what it waits for."""
    if record.waiting_for and not record.message:
        return f"waiting for {record.waiting_for}"
    return record.message


def complete_row(row: Row, record: TaskRecord, workspace: Workspace) -> Row:
    """Return the row with metadata, the memory of a running task, and the first image of an ended one."""
    row = {**row, "metadata": metadata.load(workspace)}
    if record.state is TaskState.RUNNING and (sample := last_sample(workspace.usage)) is not None:
        return {**row, **usage_fields(sample, row["memory_peak"])}
    name = _first_image(record, workspace) if record.state.is_final and record.outputs else None
    return {**row, "image": {"direction": "outputs", "name": name}} if name else row


def usage_fields(sample: UsageSample, peak: int | None = None) -> Row:
    """Return the fields of a row that a sample of its usage changes."""
    return {"memory": sample.memory, "memory_peak": max(sample.memory, peak or 0)}


def program_start(record: TaskRecord) -> float | None:
    """Return the time when the program of a task started."""
    return next((step.started for step in record.steps if step.name is StepName.TASK), None)


def short_values(values: Mapping[str, Any], folders: tuple[str, ...], most: int) -> list[Row]:
    """Return the first values, each with a short text, or as a file if it is one below `folders`."""
    return [_short(name, value, folders) for name, value in islice(values.items(), most)]


def _short(name: str, value: Any, folders: tuple[str, ...]) -> Row:
    items = value if isinstance(value, list) else [value]
    if items and all(isinstance(item, str) and item.startswith(folders) for item in items):
        return {"name": name, "file": True} | ({"count": len(items)} if isinstance(value, list) else {})
    text = value_text(value[: MAX_TEXT * 2] if isinstance(value, str | list) else value)
    return {"name": name, "text": text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."}


def _first_image(record: TaskRecord, workspace: Workspace) -> str | None:
    found = read_descriptor(workspace)
    for name, parameter in (found.outputs if found else {}).items():
        value = record.outputs.get(name)
        if isinstance(parameter.type, Image) and isinstance(value, str):
            return name
        is_list = isinstance(parameter.type, Array) and isinstance(parameter.type.subtype, Image)
        if is_list and isinstance(value, list) and value:
            return f"{name}/0"
    return None


def read_descriptor(workspace: Workspace) -> Descriptor | None:
    """Return the descriptor of a task; None for a manual task, or if the file is damaged."""
    try:
        return _parse(fs.read_regular(workspace.descriptor))
    except (OSError, DescriptorError):
        return None


@lru_cache(maxsize=64)
def _parse(text: bytes) -> Descriptor:
    return descriptor.read(text)
