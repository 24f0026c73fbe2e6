"""The state of a file of the user, to notice that it has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import msgspec


class FileState(msgspec.Struct, frozen=True, kw_only=True):
    """What identifies the content of a file: size in bytes, times in ns since 1970, inode and device.

    States of older versions have neither the time of the last change of the status nor the device.
    """

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int = 0
    device: int = 0

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            inode=status.st_ino,
            ctime_ns=status.st_ctime_ns,
            device=status.st_dev,
        )

    def change_of(self, path: Path) -> str:
        """Return how the file at `path` differs from this state; empty if it does not.

        Raises `OSError` if it does not exist or is not accessible.
        """
        now = self.of(path.stat())
        if self.size != now.size:
            return f"it had {self.size} bytes, now {now.size}"
        if self.mtime_ns != now.mtime_ns:
            return f"it was modified on {_date(now.mtime_ns)}, before that on {_date(self.mtime_ns)}"
        return "" if self.inode == now.inode else "it was replaced by another file"


def _date(nanoseconds: int) -> str:
    from datetime import datetime

    found = datetime.fromtimestamp(nanoseconds / 1e9).astimezone()
    return found.isoformat(sep=" ", timespec="milliseconds")
