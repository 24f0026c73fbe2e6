"""Metadata that users attach to a task: strings by key, in a file of the task's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from localrun import fs
from localrun.errors import Problem, UsageError
from localrun.task.workspace import Workspace

_FILE = "metadata.json"


def load(workspace: Workspace) -> dict[str, str]:
    """Return the metadata of a task; empty if the file is missing or invalid."""
    try:
        return msgspec.json.decode(fs.read_regular(workspace.path / _FILE), type=dict[str, str])
    except (OSError, ValueError, RecursionError):
        return {}


def save(workspace: Workspace, metadata: Mapping[str, str]) -> None:
    """Replace the metadata of a task, atomically.

    Raises `UsageError` with every invalid key and value. As in Inductiva, they are non-empty strings.
    """
    problems = _problems(metadata)
    if problems:
        remedy = "use non-empty strings as keys and values"
        raise UsageError("invalid metadata", remedy=remedy, problems=problems)
    fs.write_atomic(f"{workspace}/{_FILE}", msgspec.json.encode(dict(metadata)))


def _problems(metadata: Any) -> list[Problem]:
    if not isinstance(metadata, Mapping):
        return [Problem("metadata", f"expected a mapping, found {metadata!r:.60}")]
    parts = [(name, part) for name, value in metadata.items() for part in (name, value)]
    return [
        Problem(f"metadata.{name!s:.60}", f"expected a non-empty string, found {part!r:.60}")
        for name, part in parts
        if not isinstance(part, str) or not part
    ]
