"""The outputs of a task as Python values, and copies of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from localrun import descriptor, fs
from localrun.api.download import OutputCopier
from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.errors import DescriptorError, Problem, UsageError
from localrun.suggestions import did_you_mean
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.untrusted import UnsafePath


def as_python(record: TaskRecord, workspace: Workspace) -> dict[str, Any]:
    """Return the outputs as Python values, with files as `Path`."""
    try:
        types = {name: one.type for name, one in _described(workspace).outputs.items()}
    except (OSError, DescriptorError):
        types = {}
    return python_values(record.outputs, types)


def python_values(outputs: Mapping[str, Any], types: Mapping[str, DataType]) -> dict[str, Any]:
    """Return outputs of a record as Python values, with files as `Path`."""
    return {name: _as_python(types.get(name), value) for name, value in outputs.items()}


def _described(workspace: Workspace) -> descriptor.Descriptor:
    return descriptor.read(fs.read_regular(workspace.descriptor))


def _as_python(kind: DataType | None, value: Any) -> Any:
    if isinstance(kind, Array) and isinstance(value, list):
        return [_as_python(kind.subtype, item) for item in value]
    return Path(value) if isinstance(kind, (File, Geometry, Image)) and isinstance(value, str) else value


def download(
    record: TaskRecord,
    workspace: Workspace,
    names: Sequence[str] | None,
    folder: Path,
    disk_limit: float = 100.0,
    *,
    in_image: bool = False,
    extensions: bool = False,
) -> OutputCopier:
    """Copy the named outputs (None: all) to `folder`. Return the copier, which has the warnings.

    Raises `UsageError` with every unknown name, and `LocalrunError` with every output that is not copied.
    """
    existing = list(_existing(record, workspace))
    missing = [name for name in names or () if name not in existing]
    if missing:
        raise missing_files_error("the task has no such outputs", missing, existing)
    copier = OutputCopier(folder, disk_limit, in_image=in_image, extensions=extensions)
    try:
        with workspace.reading():
            copier.copy(record, workspace, only=names)
    finally:
        copier.rollback()  # removes the folder if it is empty
    return copier


def _existing(record: TaskRecord, workspace: Workspace) -> Iterator[str]:
    """Yield the names of outputs that exist, also of those that cannot be copied."""
    from localrun.platforms import delivery

    for name in delivery.names(record, workspace):
        try:
            with delivery.open_output(record, workspace, name) as (_, entry):
                if entry is not None:
                    yield name
        except UnsafePath:
            yield name
        except OSError:  # a task without an output folder
            return


def missing_files_error(message: str, names: Iterable[str], existing: Sequence[str]) -> UsageError:
    """Return the error for `names` that do not exist; `existing` are the valid ones."""
    expected = f"expected one of: {', '.join(existing[:20])}" if existing else "there are none"
    problems = [Problem(name, "not found", did_you_mean(name, existing) or expected) for name in names]
    return UsageError(message, remedy="correct the names", problems=problems)
