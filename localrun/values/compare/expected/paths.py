"""The files that values stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from localrun.values import FileValue


def to_path(value: Any) -> Path:
    """The path of a value that is a file: a `FileValue`, or a path."""
    return value.path if isinstance(value, FileValue) else Path(value)
