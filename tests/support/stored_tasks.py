"""Tasks that exist only as folders with a record."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from localrun.task.record import TaskRecord
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace


def made(home: TaskStore, age: int = 0) -> Workspace:
    """Create a task that is `age` seconds old."""
    workspace = home.create()
    workspace.create_dirs(b"name: x\n")
    written = workspace.descriptor.stat().st_mtime - age
    os.utime(workspace.descriptor, (written, written))
    workspace.save(TaskRecord(id=workspace.id, bundle="b"))
    return workspace


def mode(path: Path) -> int:
    """Return the permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)
