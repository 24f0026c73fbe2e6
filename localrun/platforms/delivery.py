"""Access to the outputs of a task for its user, with links as the container saw them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from localrun import descriptor, fs
from localrun.errors import DescriptorError
from localrun.platforms import profiles
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.untrusted import TreeEntry, UntrustedDir

Opened = tuple[UntrustedDir, TreeEntry | None]


def names(record: TaskRecord, workspace: Workspace) -> list[str]:
    """Return the names of the files and folders that a user receives."""
    profile = profiles.for_record(record)
    return list(profile.deliverables(workspace, declared_outputs(record, workspace)))


def declared_outputs(record: TaskRecord, workspace: Workspace) -> Iterable[str]:
    """Return the declared output names; if the descriptor is unreadable, those of the valid outputs."""
    try:
        return list(descriptor.read(fs.read_regular(workspace.descriptor)).outputs)
    except (OSError, DescriptorError):
        return list(record.outputs)


@contextmanager
def open_output(record: TaskRecord, workspace: Workspace, name: str) -> Iterator[Opened]:
    """Open the folder of an output, and find the output in it; None if it does not exist.

    `name` may be followed by a path in a folder. Raises `UnsafePath` for links out of the output folder, and
    `OSError` if there is no output folder.
    """
    folder, path = profiles.for_record(record).locate(workspace, name)
    with UntrustedDir(folder, record.run_plan.output_folder) as tree:
        yield tree, tree.find(tuple(path.split("/")) if path else ())
