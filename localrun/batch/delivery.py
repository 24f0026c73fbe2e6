"""Copies of the outputs of rows: `DIR/ROW/NAME`, with the extension of the content."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from localrun.api.download import OutputCopier
from localrun.batch.backend import RowResult
from localrun.errors import OutputsError
from localrun.task.store import TaskStore

Notify = Callable[[str], None]


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
        outputs = {key: _shown(value, copier.folder, target) for key, value in copier.outputs.items()}
        return msgspec.structs.replace(result, outputs=outputs, message=message)


def _shown(value: Any, folder: Path, target: Path) -> Any:
    """Return a value with paths below `folder` written as below `target`."""
    if isinstance(value, list):
        return [_shown(item, folder, target) for item in value]
    below = f"{folder}{os.sep}"
    if isinstance(value, str) and value.startswith(below):
        return str(target / value.removeprefix(below))
    return value
