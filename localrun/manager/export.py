"""Export and import of tasks as a file with one JSON object per line, active tasks first.

Inputs and outputs stay in the tasks' folders. An ended task is imported as its record. An active task is
created again from the JSON object that it was submitted as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from localrun import fs
from localrun.errors import LocalrunError, Problem, TaskExists, UsageError
from localrun.manager.manager import Manager
from localrun.task import metadata
from localrun.task.record import TaskRecord
from localrun.task.store import TaskStore


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The ids of imported tasks, and the problems of the others."""

    imported: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class _ExportedTask(TaskRecord, frozen=True, kw_only=True):
    """A record with what is in another file of the task's folder."""

    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


def _with_metadata(record: TaskRecord) -> TaskRecord:
    found = metadata.of(record)
    if not found:
        return record
    fields = {name: getattr(record, name) for name in TaskRecord.__struct_fields__}
    return _ExportedTask(**fields, metadata=found)


def export(records: Iterable[TaskRecord], file: Path) -> int:
    """Write records to a file and return their number. Raises `UsageError` if that fails.

    A regular file is replaced atomically; anything else, such as `/dev/stdout`, is written to.
    """
    count = 0
    try:
        with (
            nullcontext(file) if fs.is_special(file) else fs.atomic_file(file) as temp,
            temp.open("wb") as stream,
        ):
            for record in sorted(records, key=lambda record: record.state.is_final):
                stream.write(_with_metadata(record).to_json() + b"\n")
                count += 1
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}", remedy="choose another file") from error
    return count


def read(file: Path) -> list[TaskRecord]:
    """Return the records of an export. Raises `UsageError` with every invalid line."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", remedy="check the path") from error
    problems: list[Problem] = []
    records: list[TaskRecord] = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(_ExportedTask.from_json(line))
        except (ValueError, RecursionError) as error:
            message = f"invalid task record: {error}"
            problems.append(Problem("", message, file=str(file), line=number, column=1))
    if problems:
        message = f"{file} is not an export of tasks"
        raise UsageError(message, remedy="export the tasks again", problems=problems)
    return records


def import_tasks(
    records: Iterable[TaskRecord],
    store: TaskStore,
    manager: Manager,
    find_bundle: Callable[[str], Path] = Path,
) -> ImportResult:
    """Import tasks into the folder. Existing tasks are not changed."""
    found = ImportResult()
    for record in records:
        try:
            if record.state.is_final:
                workspace = store.create(record.id)
                workspace.save(_of_this_machine(record).replace(folder=str(workspace.path)))
                if isinstance(record, _ExportedTask) and record.metadata:
                    metadata.save(workspace, record.metadata)
            else:
                _create_again(record, manager, find_bundle)
        except LocalrunError as error:
            found.problems.append(Problem(record.id, error.message, error.remedy))
        else:
            found.imported.append(record.id)
    return found


def _of_this_machine(record: TaskRecord) -> TaskRecord:
    """Return an ended task without its mounts: a rerun must not mount a path that another machine named."""
    record = TaskRecord(**{name: getattr(record, name) for name in TaskRecord.__struct_fields__})
    if not record.run_plan.bind_mounts:
        return record
    return record.replace(plan=record.run_plan.replace(bind_mounts=[]))


def _create_again(record: TaskRecord, manager: Manager, find_bundle: Callable[[str], Path]) -> None:
    if record.submitted is None:
        message = "an active task that was not submitted to a server cannot be imported"
        raise UsageError(message, remedy="run it again: `localrun run`")
    if manager.find_task(record.id) is not None:
        raise TaskExists(f"task {record.id} exists already", remedy="nothing to do")
    manager.create_task(
        record.submitted, record.assigned_by, task_id=record.id, find_bundle=find_bundle, start=False
    )
