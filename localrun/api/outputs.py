"""The outputs of a task: as Python has them, and copies of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from localrun import descriptor
from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.errors import DescriptorError, Problem, UsageError
from localrun.suggestions import did_you_mean
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace


def as_python(record: TaskRecord, workspace: Workspace) -> dict[str, Any]:
    """The outputs with paths in place of the names of files."""
    try:
        types = {name: one.type for name, one in _described(workspace).outputs.items()}
    except (OSError, DescriptorError):
        types = {}
    return {name: _as_python(types.get(name), value) for name, value in record.outputs.items()}


def _described(workspace: Workspace) -> descriptor.Descriptor:
    return descriptor.read(workspace.descriptor.read_bytes())


def _as_python(kind: DataType | None, value: Any) -> Any:
    if isinstance(kind, Array) and isinstance(value, list):
        return [_as_python(kind.subtype, item) for item in value]
    return Path(value) if isinstance(kind, (File, Geometry, Image)) and isinstance(value, str) else value


def download(record: TaskRecord, workspace: Workspace, names: Sequence[str] | None, folder: Path) -> Path:
    """Copy the named outputs, or all. Raises `UsageError` with every name that is not there."""
    from localrun.api.download import OutputCopier, deliverables

    there = [name for name, source in deliverables(record, workspace).items() if source.exists()]
    missing = [name for name in names or () if name not in there]
    if missing:
        raise missing_files_error("the task has no such outputs", missing, there)
    delivery = OutputCopier(folder)
    try:
        delivery.copy(record, workspace, only=names)
    finally:
        delivery.rollback()  # takes the folder away when it is empty
    return delivery.folder


def missing_files_error(message: str, names: Iterable[str], there: Sequence[str]) -> UsageError:
    """The refusal of names of files that are not there; `there` are those that are."""
    are = f"there are {', '.join(there[:20])}" if there else "there are none"
    problems = [Problem(name, "is not there", did_you_mean(name, there) or are) for name in names]
    return UsageError(message, remedy="give other names", problems=problems)
