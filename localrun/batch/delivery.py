"""Copies of the outputs of rows: `DIR/ROW/NAME`, with the extension of the content."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from localrun import fs
from localrun.api.download import OutputCopier
from localrun.batch.backend import RowResult
from localrun.errors import OutputsError
from localrun.manager.replicas import rebase_paths
from localrun.task.store import TaskStore

Notify = Callable[[str], None]
_ASIDE = ".moved"  # the end of the name of a folder between two names


class OutputFolder:
    """The folder of the outputs of all rows. `path` is written in the results as it is."""

    def __init__(self, path: Path, store: TaskStore, disk_limit: float, *, in_image: bool = False) -> None:
        self.path = path
        self._store = store
        self._limit = disk_limit
        self._in_image = in_image

    def deliver(self, result: RowResult, name: str, notify: Notify) -> RowResult:
        """Copy the outputs of a row to its folder, and return the result with the paths of the copies.

        What cannot be copied is a part of the message. Raises `LocalrunError` if the folder cannot be
        written.
        """
        workspace = self._store.find(result.task) if result.task else None
        if workspace is None:
            return result
        target = self.path / name
        copier = OutputCopier(target, self._limit, in_image=self._in_image, extensions=True)
        message = result.message
        try:
            with workspace.reading():
                copier.copy(workspace.load(), workspace)
        except OutputsError as error:
            message = "; ".join(filter(None, (message, error.message, *map(str, error.problems))))
        finally:
            copier.rollback()
        for warning in copier.warnings:
            notify(f"row {name}: {warning}")
        outputs = rebase_paths(copier.outputs, copier.folder, target)
        return msgspec.structs.replace(result, outputs=outputs, message=message)

    def set_aside(self, name: str, key: tuple[str, int]) -> None:
        """Move the folder of a row that gets another name, which may still be that of a third row."""
        with fs.wrap_os_errors(self.path, "--output"), suppress(FileNotFoundError):
            (self.path / name).rename(self._aside(key))

    def put_back(self, rows: Iterable[tuple[str, tuple[str, int]]], notify: Notify) -> None:
        """Give each folder that was set aside the name of its row. What has this name already is kept."""
        if not any(self.path.glob(f".*{_ASIDE}")):
            return
        for name, key in rows:
            with fs.wrap_os_errors(self.path, "--output"), suppress(FileNotFoundError):
                aside, target = self._aside(key), self.path / name
                if aside.exists() and os.path.lexists(target):
                    notify(f"{target} belongs to no row any more: it is now {_rename_old(target)}")
                aside.rename(target)

    def _aside(self, key: tuple[str, int]) -> Path:
        digest, occurrence = key
        return self.path / f".{digest}-{occurrence}{_ASIDE}"


def _rename_old(path: Path) -> Path:
    """Rename a folder to `NAME.old` or, if that exists, `NAME.old-2`. Return the new path."""
    names = itertools.chain(
        [f"{path.name}.old"], (f"{path.name}.old-{number}" for number in itertools.count(2))
    )
    new = next(found for name in names if not os.path.lexists(found := path.with_name(name)))
    return path.rename(new)
