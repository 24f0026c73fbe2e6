"""The input folder of a task: pristine inputs for each attempt, and mounted files as links afterwards."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from localrun import fs
from localrun.copying import DiskLimit, copy_file, copy_tree
from localrun.task.record import RunPlan
from localrun.task.workspace import Workspace


def prepare_attempt(workspace: Workspace, limit: DiskLimit, *, keep: bool) -> None:
    """Give an attempt of a task with writable inputs the inputs as they were submitted.

    An earlier attempt may have changed them. `keep` keeps a copy of them for the next attempt. Raises
    `LocalrunError`, with cause DISK_FULL if the disk is full.
    """
    inputs, pristine = workspace.inputs, workspace.pristine_inputs
    with fs.wrap_os_errors(workspace.path):
        if pristine.is_dir():
            with fs.temp_file(inputs) as changed:  # files of other users may stay in it
                with suppress(FileNotFoundError):  # a process died between this and the next step
                    inputs.rename(changed)
                _copy(pristine, inputs, limit) if keep else pristine.rename(inputs)
        elif keep:
            _copy(inputs, pristine, limit)


def _copy(source: Path, target: Path, limit: DiskLimit) -> None:
    with fs.atomic_file(target) as temp:
        temp.mkdir()
        copy_tree(source, temp, copy=partial(copy_file, limit=limit))


def link_mounted_files(workspace: Workspace, mounts: Iterable[tuple[str, str]]) -> None:
    """Replace the placeholders of mounted files by symbolic links to these files.

    The folder then shows the inputs of the task. Nothing is changed in the files. An error is ignored: the
    container has ended, and localrun itself does not need the links.
    """
    for source, place in mounts:
        target = workspace.inputs / place
        with suppress(OSError):
            status = target.lstat()
            if stat.S_ISREG(status.st_mode) and not status.st_size:
                with fs.atomic_file(target) as temp:
                    os.symlink(source, temp)  # noqa: PTH211 - the target is a text


def changed_files(plan: RunPlan) -> Iterator[str]:
    """Yield a warning for each mounted file that has changed since the task was submitted."""
    for source, place in plan.mounts:
        if place not in plan.mount_states:  # a task of an older version
            continue
        try:
            change = plan.mount_states[place].change_of(Path(source))
        except OSError as error:
            change = f"it is no longer readable: {error.strerror}"
        if change:
            yield f"input {place}: {source} changed while the task was active: {change}"


def remove_copies(workspace: Workspace) -> None:
    """Delete the pristine inputs after the last attempt."""
    if workspace.pristine_inputs.is_dir():
        fs.remove(workspace.pristine_inputs)
