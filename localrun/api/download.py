"""Copying the outputs of a task to a folder of the user.

Only declared outputs are copied, so a task cannot place arbitrary files next to the user's own. Links are
followed as in the container, and only inside the output folder. Each output is copied to a temporary name
and then renamed, so no partial output is ever visible.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from localrun import copying, fs
from localrun.errors import LocalrunError, OutputsError, Problem, UsageError
from localrun.units import format_count

if TYPE_CHECKING:
    from localrun.api.extensions import ExtensionNamer
    from localrun.api.in_image import GeometryMover
    from localrun.api.output_tree import OutputTree
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace
    from localrun.values.untrusted import TreeEntry

_OLD = re.compile(r"\.(.+)\.([0-9]+)-[0-9a-f]+\.localrun-tmp\.old", re.DOTALL)


class OutputCopier:
    """Copies outputs to a folder. Raises `LocalrunError` if the folder is not writable.

    Nothing is copied that would fill the folder's disk to more than `disk_limit` percent. `warnings` has what
    was left out of a folder, and what an interrupted copy left behind. `outputs` are those of the last copy,
    with the new paths. `in_image` moves the copies of geometries from a crop back into the whole image.
    `extensions` gives the copies the extensions of their content.
    """

    def __init__(
        self, folder: Path, disk_limit: float = 100.0, *, in_image: bool = False, extensions: bool = False
    ) -> None:
        self.folder = folder.absolute()
        self.warnings: list[str] = []
        self.outputs: dict[str, object] = {}
        self._limit = copying.DiskLimit(disk_limit)
        self._in_image = in_image
        self._extensions = extensions
        self._mover: GeometryMover | None = None
        self._namer: ExtensionNamer | None = None
        self._created = self._create()
        self._clean_up()

    def _create(self) -> list[Path]:
        missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with fs.temp_file(self.folder / "probe") as probe:
                probe.touch(exist_ok=False)  # for root, permissions say nothing: try it
        except OSError as error:
            problem = Problem(str(self.folder), str(error.strerror))
            raise _write_error(self.folder, [problem]) from error
        return missing

    def _clean_up(self) -> None:
        """Delete what a copy of a dead process left behind. A folder of the user is put back instead."""
        for path in sorted(self.folder.glob(".*.localrun-tmp*")):
            old = _OLD.fullmatch(path.name)
            if old is None:
                if fs.is_abandoned(path):
                    fs.remove(path)
            elif fs.is_abandoned(path, int(old[2])):
                self._restore(path, self.folder / old[1])

    def _restore(self, old: Path, target: Path) -> None:
        if os.path.lexists(target):
            self.warnings.append(f"an interrupted copy left the former {target.name} as {old}; delete it")
            return
        old.rename(target)
        self.warnings.append(f"an interrupted copy had moved {target}; it was put back")

    def rollback(self) -> None:
        """Remove the folder if it was created here and is empty."""
        for path in self._created:
            try:
                path.rmdir()
            except OSError:
                return

    def copy(
        self, record: TaskRecord, workspace: Workspace, only: Collection[str] | None = None
    ) -> dict[str, object]:
        """Copy the declared outputs that exist, or those in `only`. Return all outputs with the new paths.

        A file never replaces a folder, which may be the user's. Raises `LocalrunError` with every output that
        could not be copied, after all others were.
        """
        from localrun.platforms import delivery

        self._prepare_changes(record, workspace)
        rejected: list[Problem] = []
        unwritten: list[Problem] = []
        failed: set[str] = set()
        names = [name for name in delivery.names(record, workspace) if only is None or name in only]
        for name in names:
            try:
                found = self._deliver(record, workspace, name)
                rejected += found
            except OSError as error:
                message = f"cannot write {self.folder / name}: {error.strerror}"
                remedy = "move it away" if isinstance(error, IsADirectoryError) else ""
                found = [Problem(f"outputs.{name}", message, remedy)]
                unwritten += found
            if found:
                failed.add(name)

        self.outputs = self._new_values(record, workspace, failed)
        for step in (self._mover, self._namer):
            self.warnings += step.warnings if step is not None else []
        if unwritten:
            raise _write_error(self.folder, [*unwritten, *rejected])
        if rejected:
            count = f"{len(rejected)} of {format_count(len(names), 'output')}"
            remedy = "let the task write regular files, or links inside its output folder"
            raise OutputsError(f"cannot copy {count}", remedy=remedy, problems=rejected)
        return self.outputs

    def _prepare_changes(self, record: TaskRecord, workspace: Workspace) -> None:
        if self._in_image:
            from localrun.api.in_image import GeometryMover

            self._mover = GeometryMover(record, workspace)
        if self._extensions:
            from localrun.api.extensions import ExtensionNamer

            self._namer = ExtensionNamer(record, workspace, self._limit)

    def _new_values(
        self, record: TaskRecord, workspace: Workspace, failed: Collection[str]
    ) -> dict[str, object]:
        """Return all outputs, with the new paths of those that have not failed."""
        packed = workspace.packed_result

        def is_failed(name: str, value: object) -> bool:
            return name in failed or (packed.name in failed and value == str(packed))

        return {
            name: value if is_failed(name, value) else self._rebase(value, workspace, name)
            for name, value in record.outputs.items()
        }

    def _rebase(self, value: object, workspace: Workspace, place: str) -> object:
        """Return a value with the path of its copy, which is that of the output and the item's number."""
        target = f"{self.folder}/{place if self._namer is None else self._namer.names.get(place, place)}"
        if isinstance(value, list):
            if os.path.isfile(target):  # noqa: PTH113 - one file with all items
                return target
            return [self._rebase(item, workspace, f"{place}/{index}") for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        below = f"{workspace.outputs}/"
        if value == str(workspace.packed_result):
            target = f"{self.folder}/{workspace.packed_result.name}"
        elif not value.startswith(below):
            return value
        if os.path.lexists(target):
            return target
        target = f"{self.folder}/{value.removeprefix(below)}"
        is_inside = value.startswith(f"{below}{place.partition('/')[0]}/")
        return target if is_inside and os.path.lexists(target) else value

    def _deliver(self, record: TaskRecord, workspace: Workspace, name: str) -> list[Problem]:
        """Copy one output. Return why it was not copied, or not completely."""
        from localrun.api.output_tree import OutputTree
        from localrun.platforms import delivery
        from localrun.values.untrusted import UnsafePath

        is_valid = name in record.outputs
        place = f"outputs.{name}"
        gone = [Problem(place, "its file in the task's folder is gone", "run the task again")]
        try:
            with delivery.open_output(record, workspace, name) as (tree, entry):
                if entry is None:
                    return gone if is_valid else []
                source = OutputTree(tree, self._limit)
                self._replace(name, partial(self._fill_output, name, source, entry))
        except UnsafePath as error:
            return [Problem(place, str(error), error.remedy)]
        except FileNotFoundError:
            if workspace.outputs.is_dir():
                raise
            # no output folder: the task has no container, or was imported without its files
            return gone if is_valid and record.kind != "manual" else []
        skipped = [f"{'/'.join((name, *parts))} was not copied: {why}" for parts, why in source.skipped]
        self.warnings += skipped
        # what a valid output may contain in addition is not a part of it
        is_complete = is_valid or record.state == "FINISHED" or not skipped
        return [] if is_complete else [Problem(place, f"not copied completely: {skipped[0]}")]

    def _fill_output(self, name: str, source: OutputTree, entry: TreeEntry, target: Path) -> str:
        source.copy(entry, target)
        if self._mover is not None:
            self._mover.move(name, target)
        return name if self._namer is None else self._namer.rename(name, target)

    def _replace(self, name: str, copy: Callable[[Path], str]) -> None:
        """Make a copy under a temporary name, and give it the name that `copy` returns."""
        with fs.temp_file(self.folder / name) as temp:
            target = self.folder / copy(temp)
            _replace(temp, target)
        if os.path.lexists(temp):
            self.warnings.append(f"the former {target} could not be deleted: it is {temp}")


def _replace(new: Path, target: Path) -> None:
    """Rename `new` to `target`. A folder that is replaced becomes `new`, or is deleted.

    Raises `IsADirectoryError` for a file in the place of a folder, which is not from the same output.
    """
    if not new.is_dir() and _is_folder(target):
        raise IsADirectoryError(errno.EISDIR, "a file does not replace a folder", str(target))
    if not os.path.lexists(target) or not new.is_dir():
        new.replace(target)
        return
    if fs.exchange(new, target):
        return
    old = target.with_name(f"{new.name}.old")  # the user's data: not a name that `prune` deletes
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        old.rename(target)
        raise
    old.rename(new)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _write_error(folder: Path, problems: list[Problem]) -> LocalrunError:
    single = f": {problems[0].message}" if len(problems) == 1 else ""
    remedy = "free disk space there, or choose another folder"
    if all(problem.remedy for problem in problems):
        remedy = "choose another folder for the outputs"
    return UsageError(
        f"cannot write the outputs to {folder}{single}",
        remedy=remedy,
        problems=problems if len(problems) > 1 or problems[0].path.startswith("outputs.") else (),
        path=str(folder),
    )
