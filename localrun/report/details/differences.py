"""Two tasks side by side, as JSON-ready data."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from localrun.report.details.parameters import input_fields, output_fields
from localrun.report.details.rows import complete_row, read_descriptor, task_row
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.compare import SECTIONS, ComparedTask, diff_durations, diff_tasks

_MAX_LINES = 400  # of the difference of two texts
_CONTEXT = 3  # lines around a difference

Fields = dict[str, Any]


def task_differences(records: Sequence[TaskRecord], workspaces: Sequence[Workspace]) -> Fields:
    """Return the differences between two tasks, and their inputs and outputs by name."""
    sides = [ComparedTask(*pair) for pair in zip(records, workspaces, strict=True)]
    found = diff_tasks(*sides)
    first, second = (
        complete_row(task_row(record), record, workspace)
        for record, workspace in zip(records, workspaces, strict=True)
    )
    inputs, outputs = _parameters(records, workspaces)
    changed = {(change.section, re.split(r"[/.\[]", change.path)[0]) for change in found}
    return {
        "a": first,
        "b": second,
        "same": not found,
        "differences": [change.as_dict() for change in found],
        "sections": list(SECTIONS),
        "timings": diff_durations(*records),
        "usage": [record.as_dict()["usage"] for record in records],
        "inputs": list(_pairs("inputs", inputs, changed)),
        "outputs": list(_pairs("outputs", outputs, changed)),
    }


def _parameters(
    records: Sequence[TaskRecord], workspaces: Sequence[Workspace]
) -> tuple[list[list[Fields]], list[list[Fields]]]:
    inputs, outputs = [], []
    for record, workspace in zip(records, workspaces, strict=True):
        descriptor = read_descriptor(workspace)
        inputs.append(input_fields(record, workspace, descriptor) if descriptor else [])
        outputs.append(output_fields(record, workspace, descriptor) if descriptor else [])
    return inputs, outputs


def _pairs(section: str, sides: list[list[Fields]], changed: set[tuple[str, str]]) -> Iterator[Fields]:
    known, others = ({one["name"]: one for one in side} for side in sides)
    for name in dict.fromkeys([*known, *others]):
        one, other = known.get(name), others.get(name)
        shown = one or other or {}
        yield {
            "name": name,
            "kind": shown.get("kind"),
            "type": shown.get("type"),
            "a": one,
            "b": other,
            "same": (section, name) not in changed,
            **_difference(one and one["value"], other and other["value"]),
        }


def _difference(first: Any, second: Any) -> Fields:
    """Return how much two numbers differ, or in which lines two texts do."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in (first, second)):
        return {"delta": second - first}
    if isinstance(first, str) and isinstance(second, str) and first != second:
        return {"lines": _lines(first, second)}
    return {}


def _lines(first: str, second: str) -> list[str]:
    """Return the lines of a unified diff, without its head."""
    compared = difflib.unified_diff(first.splitlines(), second.splitlines(), lineterm="", n=_CONTEXT)
    return [line for number, line in enumerate(compared) if 2 <= number < _MAX_LINES]
