"""Notes that a user keeps with a task: names and texts, in a file of the task's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from localrun import fs
from localrun.errors import Problem, UsageError
from localrun.task.workspace import Workspace

_FILE = "metadata.json"


def load(workspace: Workspace) -> dict[str, str]:
    """The notes of a task; none when the file is not there, or is damaged."""
    try:
        return msgspec.json.decode((workspace.path / _FILE).read_bytes(), type=dict[str, str])
    except (OSError, ValueError, RecursionError):
        return {}


def save(workspace: Workspace, notes: Mapping[str, str]) -> None:
    """Keep these notes in place of all that were there; a reader sees the old ones or the new ones.

    Raises `UsageError` with every name and text that does not fit (Inductiva: texts, none of them empty).
    """
    problems = _problems(notes)
    if problems:
        raise UsageError(
            "the metadata does not fit", remedy="give texts by names, none empty", problems=problems
        )
    fs.write_atomic(f"{workspace}/{_FILE}", msgspec.json.encode(dict(notes)))


def _problems(notes: Any) -> list[Problem]:
    if not isinstance(notes, Mapping):
        return [Problem("metadata", f"must be a mapping (it is {notes!r:.60})")]
    parts = [(name, part) for name, text in notes.items() for part in (name, text)]
    return [
        Problem(f"metadata.{name!s:.60}", f"{part!r:.60} is no text, or an empty one")
        for name, part in parts
        if not isinstance(part, str) or not part
    ]
