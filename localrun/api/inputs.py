"""Copies of the inputs of a task, as a folder in App Engine's layout."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from localrun import copying
from localrun.api.download import OutputCopier
from localrun.errors import Problem, UsageError
from localrun.task.states import TaskState

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


class InputCopier(OutputCopier):
    """Copies inputs to a folder, from which a task can be run again: `localrun run BUNDLE --inputs FOLDER`.

    `outputs` are the inputs of the record, with the paths of the copies.
    """

    def copy(
        self, record: TaskRecord, workspace: Workspace, only: Collection[str] | None = None
    ) -> dict[str, object]:
        """Copy the files of all inputs, or of those in `only`. Return all inputs with the new paths.

        Mounted files are copied from where they are. Raises `UsageError` with every file that is gone or
        cannot be written, after all others were copied, and if the task has no inputs on disk.
        """
        _check_provisioned(record)
        mounts = {place: Path(source) for source, place in record.run_plan.mounts}
        problems: list[Problem] = []
        names = _names(workspace, mounts)
        self._warn_of_others(names)
        for name in names:
            if only is not None and name.partition(".")[0] not in only:
                continue
            try:
                self._replace(name, partial(self._fill, record, workspace, name, mounts))
            except OSError as error:
                path = error.filename or self.folder / name
                gone = isinstance(error, FileNotFoundError)
                message = f"{path} does not exist" if gone else f"cannot copy {path}: {error.strerror}"
                problems.append(Problem(f"inputs.{name}", message))
        if problems:
            message = f"cannot copy the inputs of task {record.short_id}"
            raise UsageError(message, remedy="restore the files, or free disk space", problems=problems)
        self.outputs = {
            name: self._renamed(value, self.folder / name) for name, value in record.inputs.items()
        }
        return self.outputs

    def _fill(
        self, record: TaskRecord, workspace: Workspace, name: str, mounts: Mapping[str, Path], target: Path
    ) -> str:
        from localrun.api.output_tree import OutputTree
        from localrun.values.untrusted import UnsafePath, UntrustedDir

        own = {place: source for place, source in mounts.items() if f"{place}/".startswith(f"{name}/")}
        if name not in own:
            with UntrustedDir(workspace.inputs, record.run_plan.input_folder) as tree:
                source = OutputTree(tree, self._limit)
                try:
                    entry = tree.find((name,))
                    if entry is not None:
                        source.copy(entry, target)
                except UnsafePath as error:
                    raise OSError(0, str(error), str(workspace.inputs / name)) from error
            skipped = (("/".join((name, *parts)), why) for parts, why in source.skipped)
            self.warnings += [f"{place} was not copied: {why}" for place, why in skipped if place not in own]
        for place, path in own.items():
            copy = target / place[len(name) + 1 :] if place != name else target
            copy.unlink(missing_ok=True)
            copying.copy_file(Path(os.path.realpath(path)), copy, limit=self._limit)
            self._warn_if_changed(record, place, path)
        return name

    def _warn_of_others(self, names: Collection[str]) -> None:
        """Warn about files that a run with the folder would read as inputs."""
        found = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
        others = ", ".join(name for name in found if name not in names)
        if others:
            self.warnings.append(f"{self.folder} also has files that are not from this task: {others}")

    def _warn_if_changed(self, record: TaskRecord, place: str, path: Path) -> None:
        state = record.run_plan.mount_states.get(place)
        change = state.change_of(path) if state is not None else ""
        if change:
            self.warnings.append(f"input {place}: {path} has changed since the task: {change}")

    def _renamed(self, value: object, target: Path) -> object:
        if isinstance(value, list):
            return [self._renamed(item, target / str(index)) for index, item in enumerate(value)]
        is_path = isinstance(value, str) and value.startswith("/") and "\n" not in value
        return str(target) if is_path and os.path.lexists(target) else value


def download_inputs(
    record: TaskRecord, workspace: Workspace, folder: Path, disk_limit: float = 100.0
) -> InputCopier:
    """Copy the inputs of a task to `folder`. Return the copier, which has the warnings.

    Raises as `InputCopier.copy`.
    """
    copier = InputCopier(folder, disk_limit)
    try:
        copier.copy(record, workspace)
    finally:
        copier.rollback()  # removes the folder if it is empty
    return copier


def _names(workspace: Workspace, mounts: Mapping[str, Path]) -> list[str]:
    found = {place.partition("/")[0] for place in mounts}
    if workspace.inputs.is_dir():
        found |= {path.name for path in workspace.inputs.iterdir() if not path.name.startswith(".")}
    return sorted(found)


def _check_provisioned(record: TaskRecord) -> None:
    if record.kind == "manual":
        message = f"task {record.short_id} has no container and no input files"
        raise UsageError(message, remedy=f"`localrun status {record.short_id} --json` shows the task")
    if TaskState.PROVISIONED not in {state for state, _ in record.history}:
        message = f"task {record.short_id} has no inputs yet ({record.state})"
        raise UsageError(message, remedy=f"wait for it with `localrun wait {record.short_id}`")
