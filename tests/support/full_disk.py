"""A disk that is full for one write."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

from localrun import fs


def fail_next_write(path: Path) -> None:
    """Let the next atomic write of `path` by this process fail as on a full disk."""
    patch = mock.patch.object(fs, "temp_path")
    real = fs.temp_path

    def temp_path(target: str) -> str:
        temp = real(target)
        if target == str(path):
            patch.stop()
            Path(temp).symlink_to("/dev/full")
        return temp

    patch.start().side_effect = temp_path
