"""The lists of tasks as one file: to move them, or to keep them beside a restart.

One JSON object a line, the active tasks first. What a task read and wrote stays in its folder: an ended
task is known again by its record, an active one is made anew of the object that it was submitted as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from localrun import fs
from localrun.errors import LocalrunError, Problem, TaskExists, UsageError
from localrun.manager.manager import TaskManager
from localrun.task.record import TaskRecord
from localrun.task.store import TaskStore


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of the lines: the ids that were taken in, and why others were not."""

    imported: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def export(records: Iterable[TaskRecord], file: Path) -> int:
    """Write records to a file, whole or not at all; how many. Raises `UsageError` when it cannot be."""
    count = 0
    try:
        with fs.atomic_file(file) as temp, temp.open("wb") as stream:
            for record in sorted(records, key=lambda record: record.state.is_final):
                stream.write(record.to_json() + b"\n")
                count += 1
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}", remedy="choose another file"
        ) from error
    return count


def read(file: Path) -> list[TaskRecord]:
    """Read an export. Raises `UsageError` that names every line that is no record."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", remedy="check its name") from error
    problems: list[Problem] = []
    records = [record for record in _parsed(lines, file, problems) if record is not None]
    if problems:
        raise UsageError(f"{file} is no export of tasks", remedy="export the tasks again", problems=problems)
    return records


def _parsed(lines: list[bytes], file: Path, problems: list[Problem]) -> Iterator[TaskRecord | None]:
    for number, line in enumerate(lines, start=1):
        try:
            yield TaskRecord.from_json(line)
        except (ValueError, RecursionError) as error:
            problems.append(
                Problem("", f"is no record of a task: {error}", file=str(file), line=number, column=1)
            )


def import_tasks(
    records: Iterable[TaskRecord],
    home: TaskStore,
    manager: TaskManager,
    find_bundle: Callable[[str], Path] = Path,
) -> ImportResult:
    """Make the tasks known here; those that are here already are left as they are."""
    found = ImportResult()
    for record in records:
        try:
            if record.state.is_final:
                _keep(record, home)
            else:
                _make_anew(record, manager, find_bundle)
        except LocalrunError as error:
            found.problems.append(Problem(record.id, error.message, error.remedy))
        else:
            found.imported.append(record.id)
    return found


def _keep(record: TaskRecord, home: TaskStore) -> None:
    workspace = home.create(record.id)
    workspace.save(record.replace(folder=str(workspace.path)))


def _make_anew(record: TaskRecord, manager: TaskManager, find_bundle: Callable[[str], Path]) -> None:
    if record.submitted is None:
        raise UsageError("it was not submitted to a server", remedy="run it again: `localrun run`")
    if manager.find_task(record.id) is not None:
        raise TaskExists(f"there is a task {record.id} already", remedy="nothing to do")
    manager.create_task(
        record.submitted, record.assigned_by, task_id=record.id, find_bundle=find_bundle, start=False
    )
