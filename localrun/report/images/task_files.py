"""Open the input and output files of a task by their places, such as `outputs/masks/0`."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from localrun.platforms import profiles
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.rasters import opening
from localrun.values.rasters.raster import FIRST, Part, Raster, UnreadableImage
from localrun.values.untrusted import TreeEntry, UnsafePath, UntrustedDir

SECTIONS = ("inputs", "outputs", "crops")
_MAX_FILES = 2000  # in the folder of a whole slide
_MAX_ENTRIES = 100_000

Opener = Callable[[], BinaryIO]
Identity = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file, or the files in a folder. `identity` changes with its content.

    `opener` is that of a file, `members` are the files of a folder.
    """

    identity: Identity
    opener: Opener | None = None
    members: list[tuple[str, Opener]] = field(default_factory=list)

    def open_raster(self, part: Part = FIRST) -> Raster:
        """Open an image. Raises `UnreadableImage`."""
        try:
            if self.opener is None:
                return opening.open_folder(self.members, part)
            return opening.open_file(self.opener, part)
        except (OSError, UnsafePath) as error:
            raise UnreadableImage(f"cannot read the file: {error}") from error

    def read(self, limit: int) -> bytes:
        """Return the first bytes of a file. Raises `OSError` and `UnsafePath`."""
        if self.opener is None:
            raise UnsafePath("expected a file, got a folder")
        with self.opener() as file:
            return file.read(limit)


class TaskFiles:
    """The files of a task. Links are followed as in the container, and only inside its folders.

    `crops/image` is the whole image that `inputs/image` was cut from.
    """

    def __init__(self, record: TaskRecord, workspace: Workspace) -> None:
        self._record = record
        self._workspace = workspace
        self._mounts = {place: Path(source) for source, place in record.run_plan.mounts}

    def find(self, place: str) -> FoundFile | None:
        """Return the file at a place; None if there is none. Raises `UnsafePath`."""
        section, _, name = place.partition("/")
        parts = tuple(name.split("/"))
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            return None
        try:
            return self._find(section, name)
        except OSError:
            return None

    def _find(self, section: str, name: str) -> FoundFile | None:
        plan = self._record.run_plan
        if section == "crops":
            crop = self._record.crops.get(name)
            return None if crop is None else _own_file(Path(crop.file))
        if section == "inputs" and name in self._mounts:
            return _own_file(self._mounts[name])
        if section == "inputs":
            found = _find_below(self._workspace.inputs, plan.input_folder, name)
            # a task that waits for more inputs has what was uploaded
            return found or _find_below(self._workspace.uploads, "/", name)
        folder, path = profiles.for_record(self._record).locate(self._workspace, name)
        return _find_below(folder, plan.output_folder, path)

    def names(self, place: str) -> list[str]:
        """Return the names in a folder; none if there is no such folder."""
        section, _, name = place.partition("/")
        if section == "crops":
            return []
        is_input = section == "inputs"
        folder = self._workspace.inputs if is_input else self._workspace.outputs
        plan = self._record.run_plan
        try:
            with UntrustedDir(folder, plan.input_folder if is_input else plan.output_folder) as tree:
                entry = tree.find(tuple(name.split("/")))
                if entry is None or entry.kind != "folder":
                    return []
                return tree.list_names(entry, _MAX_ENTRIES)
        except (OSError, UnsafePath):
            return []


def _own_file(path: Path) -> FoundFile | None:
    """Return a file of the user that localrun itself has recorded; None if it is gone."""

    def opener() -> BinaryIO:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise UnsafePath("not a regular file")
        return file

    return FoundFile((_state(path.stat()),), opener)


def _find_below(folder: Path, inside: str, name: str) -> FoundFile | None:
    if not folder.is_dir():
        return None
    with UntrustedDir(folder, inside) as tree:
        entry = tree.find(tuple(name.split("/")))
        if entry is None:
            return None
        opener = partial(_open_entry, folder, inside)
        if entry.kind == "file":
            return FoundFile((_state_of(tree, entry),), partial(opener, entry))
        if entry.kind != "folder":
            raise UnsafePath(f"expected a file or a folder, got a {entry.kind}")
        depth = len(entry.parts)
        files = sorted(tree.list_files(entry, _MAX_FILES), key=lambda one: one.parts)
        members: list[tuple[str, Opener]] = [
            ("/".join(one.parts[depth:]), partial(opener, one)) for one in files
        ]
        return FoundFile(tuple(_state_of(tree, one) for one in files), None, members)


def _open_entry(folder: Path, inside: str, entry: TreeEntry) -> BinaryIO:
    with UntrustedDir(folder, inside) as tree:
        return tree.open(entry)


def _state_of(tree: UntrustedDir, entry: TreeEntry) -> tuple[int, ...]:
    with tree.open(entry) as file:
        return _state(os.fstat(file.fileno()))


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
