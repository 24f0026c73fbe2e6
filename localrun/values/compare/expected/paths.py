"""The files that values refer to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from localrun.values import FileValue


def to_path(value: Any) -> Path:
    """Return the path of a file value, which is a `FileValue` or a path."""
    return value.path if isinstance(value, FileValue) else Path(value)
