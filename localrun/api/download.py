"""The outputs of a task, copied to where the user wants them.

Only what the descriptor declares is copied: a task must not be able to put a file of its choice next to
the user's own ones. No link is followed out of the task's folder, and nothing is ever half there: each
output is made beside its place and then renamed.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from localrun.errors import DescriptorError, LocalrunError

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


class OutputCopier:
    """A folder that outputs are copied to. Raises `LocalrunError` at once when it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.warnings: list[str] = []
        self._made = self._make()

    def _make(self) -> list[Path]:
        missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        probe = self.folder / f".localrun-{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.touch(exist_ok=False)  # as root, only trying tells
            probe.unlink()
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return missing

    def rollback(self) -> None:
        """Take the folder away again if it was made here and holds nothing."""
        for path in self._made:
            try:
                path.rmdir()
            except OSError:
                return

    def copy(
        self, record: TaskRecord, workspace: Workspace, only: Collection[str] | None = None
    ) -> dict[str, object]:
        """Copy every declared output that is there; the task's outputs, with the paths of the copies.

        `only` names those that are wanted; None: all.

        Raises `LocalrunError` when a copy cannot be written.
        """
        sources = deliverables(record, workspace)
        for name, source in sources.items():
            if only is not None and name not in only:
                continue
            try:
                self._copy(workspace.outputs, source, name)
            except OSError as error:
                raise _unwritable(Path(error.filename or self.folder / name), error) from error
        return {name: self._moved(value, sources) for name, value in record.outputs.items()}

    def _moved(self, value: object, sources: Mapping[str, Path]) -> object:
        if isinstance(value, list):
            return [self._moved(item, sources) for item in value]
        for name, source in sources.items():
            if isinstance(value, str) and (value == str(source) or value.startswith(f"{source}/")):
                copy = Path(f"{self.folder / name}{value[len(str(source)) :]}")
                return str(copy) if os.path.lexists(copy) else value
        return value

    def _copy(self, root: Path, source: Path, name: str) -> None:
        if not os.path.lexists(source):
            return
        beside = self.folder / f".{name}.localrun-{os.getpid()}"
        try:
            if self._entry(root, source, beside):
                _replace(beside, self.folder / name)
        finally:
            _remove(beside)

    def _entry(self, root: Path, source: Path, target: Path) -> bool:
        """Copy a file or a folder; False, with a warning, for anything that is not copied."""
        mode = source.lstat().st_mode
        if stat.S_ISDIR(mode):
            target.mkdir()
            for entry in sorted(os.listdir(source)):  # noqa: PTH208 - names
                self._entry(root, source / entry, target / entry)
            return True
        origin = _inside(root, source) if stat.S_ISLNK(mode) else source
        if origin is None or not stat.S_ISREG(origin.lstat().st_mode):
            what = "a link that leaves the output folder" if stat.S_ISLNK(mode) else "no regular file"
            self.warnings.append(f"{source.relative_to(root)} was not copied: it is {what}")
            return False
        shutil.copyfile(origin, target, follow_symlinks=False)
        return True


def deliverables(record: TaskRecord, workspace: Workspace) -> dict[str, Path]:
    """What a user gets of a task, by name."""
    from localrun.platforms import profiles

    return profiles.for_record(record).deliverables(workspace, declared_outputs(record, workspace))


def declared_outputs(record: TaskRecord, workspace: Workspace) -> Iterable[str]:
    """The names of the outputs that the descriptor declares; if it cannot be read, of those that fit."""
    from localrun import descriptor

    try:
        return list(descriptor.read(workspace.descriptor.read_bytes()).outputs)
    except (OSError, DescriptorError):
        return list(record.outputs)


def _inside(root: Path, link: Path) -> Path | None:
    try:
        end = link.resolve(strict=True)
    except (OSError, RuntimeError):  # it leads nowhere, or in a circle
        return None
    return end if end.is_relative_to(root.resolve()) and end.is_file() else None


def _replace(new: Path, place: Path) -> None:
    """Put `new` in its place; a folder cannot be replaced by renaming, so the old one steps aside first."""
    if not (new.is_dir() or (place.is_dir() and not place.is_symlink())):
        new.replace(place)
        return
    aside = place.with_name(f"{new.name}.old")
    if os.path.lexists(place):
        place.rename(aside)
    try:
        new.rename(place)
    except OSError:
        if os.path.lexists(aside):
            aside.rename(place)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> LocalrunError:
    from localrun.errors import UsageError

    return UsageError(
        f"the outputs cannot be written to {path}: {error.strerror}",
        remedy="give another folder with -o, or make room in this one",
        path=str(path),
    )
