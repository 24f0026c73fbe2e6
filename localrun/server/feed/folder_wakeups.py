"""Wakes coroutines when something changes in a folder, also if another process has changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from localrun.server.feed.folder_watch import FolderWatch

Callback = Callable[[], None]


class FolderWakeups:
    """One watch of the kernel for any number of waiting coroutines of an event loop.

    All methods must be called in the event loop. The watch is open while there are callbacks.
    """

    def __init__(self) -> None:
        self._watch: FolderWatch | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._callbacks: dict[Path, set[Callback]] = {}

    def add(self, folder: Path, callback: Callback) -> bool:
        """Call back after each change in a folder. Return false if the kernel cannot report changes there.

        Raises `FileNotFoundError` if the folder does not exist.
        """
        try:
            if self._watch is None:
                self._watch = FolderWatch()
                self._loop = asyncio.get_running_loop()
                self._loop.add_reader(self._watch.fileno(), self._on_change)
            self._watch.add(folder)
            self._callbacks.setdefault(folder, set()).add(callback)
        except FileNotFoundError:
            raise
        except (OSError, AttributeError):  # too many watches of this user, or a kernel without them
            return False
        else:
            return True
        finally:
            self._close_unused()

    def remove(self, folder: Path, callback: Callback) -> None:
        """Undo `add`."""
        callbacks = self._callbacks.get(folder, set())
        callbacks.discard(callback)
        if not callbacks:
            self._callbacks.pop(folder, None)
            if self._watch is not None:
                self._watch.keep(self._callbacks)
        self._close_unused()

    def _on_change(self) -> None:
        assert self._watch is not None
        for folder in self._watch.changes():
            for callback in self._callbacks.get(folder, ()):
                callback()

    def _close_unused(self) -> None:
        if self._watch is not None and not self._callbacks:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._watch.fileno())
            self._watch.close()
            self._watch = None
