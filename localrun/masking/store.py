"""The secret variables of a task, in a file that only its user can read and that is deleted at its end."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localrun import fs


def save(file: Path, values: Mapping[str, str]) -> None:
    """Write the secrets, if any. Raises `LocalrunError`, with cause DISK_FULL if the disk is full."""
    if not values:
        return
    with fs.wrap_os_errors(file.parent):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(dict(values), stream)


def load(file: Path) -> dict[str, str]:
    """Return the secrets, or an empty dict if the task has ended."""
    try:
        found: Any = json.loads(fs.read_regular(file))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def delete(file: Path) -> None:
    """Delete the secrets; the task has ended."""
    file.unlink(missing_ok=True)
