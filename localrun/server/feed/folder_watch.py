"""Notifications of the kernel about changes in folders (inotify)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

_CREATE, _DELETE, _MODIFY = 0x100, 0x200, 0x2
_MOVED_FROM, _MOVED_TO, _CLOSE_WRITE = 0x40, 0x80, 0x8
_MASK = _CREATE | _DELETE | _MODIFY | _MOVED_FROM | _MOVED_TO | _CLOSE_WRITE
_ONLY_FOLDER = 0x1000000
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_BUFFER = 64 * 1024


class FolderWatch:
    """Watches folders for new, changed and deleted entries. Raises `OSError` without a free watch."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._check(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._folders: dict[int, Path] = {}

    def fileno(self) -> int:
        """Return the file descriptor, which is readable when there are changes."""
        return self._descriptor

    def add(self, folder: Path) -> None:
        """Watch a folder, which may be watched already."""
        path = os.fsencode(folder)
        watch = self._check(self._libc.inotify_add_watch(self._descriptor, path, _MASK | _ONLY_FOLDER))
        self._folders[watch] = folder

    def keep(self, folders: Collection[Path]) -> None:
        """Watch no other folders any longer."""
        for watch in [watch for watch, folder in self._folders.items() if folder not in folders]:
            self._libc.inotify_rm_watch(self._descriptor, watch)
            del self._folders[watch]

    def changes(self) -> set[Path]:
        """Return the folders in which something has changed, without waiting.

        If there were too many changes, all folders are returned.
        """
        found: set[Path] = set()
        for watch, mask in self._read():
            if mask & _OVERFLOW:
                found.update(self._folders.values())
            elif watch in self._folders:  # if ignored, it was deleted
                found.add(self._folders.pop(watch) if mask & _IGNORED else self._folders[watch])
        return found

    def _read(self) -> Iterator[tuple[int, int]]:
        while True:
            try:
                data = os.read(self._descriptor, _BUFFER)
            except BlockingIOError:
                return
            position = 0
            while position < len(data):
                watch, mask, _, length = _HEAD.unpack_from(data, position)
                position += _HEAD.size + length
                yield watch, mask

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _check(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
