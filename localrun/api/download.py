"""Copying the outputs of a task to a folder of the user.

Only declared outputs are copied, so a task cannot place arbitrary files next to the user's own. Links out
of the task's folder are not followed. Each output is copied to a temporary name and then renamed, so no
partial output is ever visible.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from localrun import fs
from localrun.errors import DescriptorError, LocalrunError

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


class OutputCopier:
    """Copies outputs to a folder. Raises `LocalrunError` if the folder is not writable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.warnings: list[str] = []
        self._created = self._create()

    def _create(self) -> list[Path]:
        missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with fs.temp_file(self.folder / "probe") as probe:
                probe.touch(exist_ok=False)  # for root, permissions say nothing: try it
        except OSError as error:
            raise _write_error(self.folder, error) from error
        return missing

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

        Raises `LocalrunError` if a copy cannot be written.
        """
        sources = deliverables(record, workspace)
        for name, source in sources.items():
            if only is not None and name not in only:
                continue
            try:
                self._copy(workspace.outputs, source, name)
            except OSError as error:
                raise _write_error(Path(error.filename or self.folder / name), error) from error
        return {name: self._rebase(value, sources) for name, value in record.outputs.items()}

    def _rebase(self, value: object, sources: Mapping[str, Path]) -> object:
        if isinstance(value, list):
            return [self._rebase(item, sources) for item in value]
        for name, source in sources.items():
            if isinstance(value, str) and (value == str(source) or value.startswith(f"{source}/")):
                copy = Path(f"{self.folder / name}{value[len(str(source)) :]}")
                return str(copy) if os.path.lexists(copy) else value
        return value

    def _copy(self, root: Path, source: Path, name: str) -> None:
        if not os.path.lexists(source):
            return
        target = self.folder / name
        with fs.temp_file(target) as temp:
            if self._copy_entry(root, source, temp):
                _replace(temp, target)

    def _copy_entry(self, root: Path, source: Path, target: Path) -> bool:
        """Copy a file or folder. Return False, and add a warning, for any other kind of entry."""
        mode = source.lstat().st_mode
        if stat.S_ISDIR(mode):
            target.mkdir()
            for entry in sorted(os.listdir(source)):  # noqa: PTH208 - names
                self._copy_entry(root, source / entry, target / entry)
            return True
        origin = _resolve_inside(root, source) if stat.S_ISLNK(mode) else source
        if origin is None or not stat.S_ISREG(origin.lstat().st_mode):
            reason = "a link that leaves the output folder" if stat.S_ISLNK(mode) else "not a regular file"
            self.warnings.append(f"{source.relative_to(root)} was not copied: {reason}")
            return False
        shutil.copyfile(origin, target, follow_symlinks=False)
        return True


def deliverables(record: TaskRecord, workspace: Workspace) -> dict[str, Path]:
    """Return the paths to copy for a user, by name."""
    from localrun.platforms import profiles

    return profiles.for_record(record).deliverables(workspace, declared_outputs(record, workspace))


def declared_outputs(record: TaskRecord, workspace: Workspace) -> Iterable[str]:
    """Return the declared output names; if the descriptor is unreadable, those of the valid outputs."""
    from localrun import descriptor

    try:
        return list(descriptor.read(workspace.descriptor.read_bytes()).outputs)
    except (OSError, DescriptorError):
        return list(record.outputs)


def _resolve_inside(root: Path, link: Path) -> Path | None:
    try:
        end = link.resolve(strict=True)
    except (OSError, RuntimeError):  # a dangling or circular link
        return None
    return end if end.is_relative_to(root.resolve()) and end.is_file() else None


def _replace(new: Path, target: Path) -> None:
    """Rename `new` to `target`. A folder cannot be replaced by renaming, so the old one is moved first."""
    if not (new.is_dir() or (target.is_dir() and not target.is_symlink())):
        new.replace(target)
        return
    old = target.with_name(f"{new.name}.old")  # the user's data: not a name that `prune` deletes
    if os.path.lexists(target):
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if os.path.lexists(old):
            old.rename(target)
        raise
    fs.remove(old)


def _write_error(path: Path, error: OSError) -> LocalrunError:
    from localrun.errors import UsageError

    return UsageError(
        f"cannot write the outputs to {path}: {error.strerror}",
        remedy="free disk space there, or choose another folder",
        path=str(path),
    )
