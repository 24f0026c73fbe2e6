"""The values of secret variables: in a file that only the user may read, until the task's end."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from localrun import fs


def save(file: Path, values: Mapping[str, str]) -> None:
    """Write them down, if there are any. Raises `LocalrunError`, also when the disk is full."""
    if not values:
        return
    with fs.wrap_os_errors(file.parent):
        stream = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(stream, "w", encoding="utf-8") as kept:
            json.dump(dict(values), kept)


def load(file: Path) -> dict[str, str]:
    """What is kept; nothing once the task has ended."""
    try:
        found: dict[str, str] = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def delete(file: Path) -> None:
    """The task has ended, and needs them no more."""
    file.unlink(missing_ok=True)
