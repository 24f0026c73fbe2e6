"""Which tasks to list: by state, name, time of creation and metadata."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from localrun.errors import Problem, UsageError
from localrun.suggestions import did_you_mean
from localrun.task import metadata as metadata_of_tasks
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.units import parse_duration

_CLOCK_STEP = 1e-6  # seconds: a `datetime` has no more digits

Since = float | str | datetime | timedelta


class TaskSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that all hold for a selected task. Empty ones hold for every task.

    `name` is a pattern such as `add*`, whose case does not matter. `since` is in seconds since 1970.
    `metadata` are values by key, `metadata_texts` conditions such as `KEY=VALUE`.
    """

    states: tuple[TaskState, ...] = ()
    name: str | None = None
    since: float | None = None
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)
    metadata_texts: Sequence[str] = ()

    def matches(self, record: TaskRecord) -> bool:
        """Return whether a task is selected. Reads its metadata only if all other conditions hold."""
        if self.states and record.state not in self.states:
            return False
        if self.since is not None and record.created < self.since - _CLOCK_STEP:
            return False
        if self.name is not None and not fnmatchcase(record.name.casefold(), self.name.casefold()):
            return False
        if not self.metadata and not self.metadata_texts:
            return True
        found = metadata_of_tasks.of(record)
        return metadata_of_tasks.has_values(found, self.metadata) and all(
            metadata_of_tasks.has_text(found, text) for text in self.metadata_texts
        )


ALL_TASKS = TaskSelection()


def parse_state(word: TaskState | str) -> TaskState:
    """Return a state, in any case. Raises `UsageError` with the known ones."""
    try:
        return TaskState(word.upper())
    except (ValueError, AttributeError):
        names = [str(state) for state in TaskState]
        remedy = did_you_mean(str(word), names) or f"expected one of: {', '.join(names)}"
        problem = Problem("state", f"unknown state {word!r}", remedy)
        raise UsageError("unknown task state", remedy=remedy, problems=[problem]) from None


def parse_states(words: TaskState | str | Iterable[TaskState | str] | None) -> tuple[TaskState, ...]:
    """Return one or multiple states; none for None. Raises `UsageError`."""
    if words is None:
        return ()
    return tuple(map(parse_state, [words] if isinstance(words, str) else words))


def parse_since(since: Since) -> float:
    """Return a time in seconds since 1970. Raises ValueError.

    A text is a time before now, such as `2h`, or a date and time in ISO 8601, such as `2026-11-30T12:00`.
    Without a time zone, it is that of this machine. A `timedelta` is a time before now.
    """
    if isinstance(since, datetime):
        return since.timestamp()
    if isinstance(since, timedelta):
        return time.time() - since.total_seconds()
    if isinstance(since, (int, float)) and not isinstance(since, bool):
        return float(since)
    if isinstance(since, str):
        for parse in (lambda text: time.time() - parse_duration(text), _timestamp):
            try:
                return parse(since)
            except (ValueError, OverflowError):
                continue
    raise ValueError(f"{since!r} is not a time; expected e.g. 2h, or 2026-11-30T12:00")


def _timestamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
