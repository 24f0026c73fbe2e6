"""`--as SYSTEM`: show a task with the terms of another system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from localrun.errors import Cause
from localrun.platforms import vocabulary
from localrun.platforms.vocabulary import systems
from localrun.task.states import StepName, TaskState

if TYPE_CHECKING:
    from localrun.platforms.vocabulary.translation import Translation
    from localrun.task.record import TaskRecord

_STATES = {  # in which each step starts
    StepName.PERMISSIONS: TaskState.PENDING,
    StepName.TASK: TaskState.PENDING,
    StepName.OUTPUTS: TaskState.RUNNING,
}

as_system = click.option(
    "--as",
    "system",
    type=click.Choice(systems.SYSTEMS),
    help="Use the terms of another system; see `localrun explain`.",
)


def translate(record: TaskRecord, system: str) -> Translation:
    """Return the terms of `system` for the current state of a task."""
    return vocabulary.translate(record.state, record.step, _cause(record), system)


def _cause(record: TaskRecord) -> Cause | None:
    # a later version of localrun may have written an unknown cause
    return Cause.__members__.get(record.cause or "")


def history(record: TaskRecord, system: str) -> Iterator[tuple[str, float]]:
    """Yield the history of a task in the terms of a system, each with its time in seconds since 1970.

    Repeated terms are merged. iExec reports the reason before FAILED.
    """
    last = ""
    for found, since in translations(record, system):
        for word in filter(None, (found.reason, found.status)):
            if word != last:
                yield word, since
            last = word


def translations(record: TaskRecord, system: str) -> Iterator[tuple[Translation, float]]:
    """Yield the terms of a system for each time at which a state or a step started, in order."""
    state: TaskState = record.state
    step: StepName | None = None
    for entry, since in _starts(record):
        if isinstance(entry, StepName):
            step = entry
        else:
            state = entry
            # a task that is queued again repeats its steps; one that ends keeps its last step
            step = step if state is TaskState.RUNNING or state.is_final else None
        yield vocabulary.translate(state, step, _cause(record) if state.is_final else None, system), since


def _starts(record: TaskRecord) -> Iterator[tuple[TaskState | StepName, float]]:
    """Yield each state and step with its start.

    They are not ordered by time: times may be equal, and a clock may have been set back.
    """
    last = {state: number for number, (state, _) in enumerate(record.history)}
    for number, (state, since) in enumerate(record.history):
        yield state, since
        if last[state] == number:  # the steps are those of the last attempt
            for step in record.steps:
                if step.started is not None and _STATES[step.name] is state:
                    yield step.name, step.started


def as_fields(record: TaskRecord, system: str | None) -> dict[str, Any]:
    """Return the fields that `--as` adds to a JSON record."""
    if system is None:
        return {}
    return {"as": {**translate(record, system).as_dict(), "history": list(history(record, system))}}


def state_and_cause(record: TaskRecord, system: str | None) -> tuple[str, str]:
    if system is None:
        return str(record.state), record.cause or ""
    found = translate(record, system)
    return found.status, found.cause


def status_rows(record: TaskRecord, system: str) -> Iterator[tuple[str, str]]:
    """Yield the rows that `--as` adds to `status`."""
    found = translate(record, system)
    code = "" if found.code.lower() == found.status.lower() else f" ({found.code})"
    yield systems.TITLES[system], found.status + code
    for name, word in (("reason", found.reason), ("replicate", found.replica), ("cause", found.cause)):
        if word:
            yield "", f"{name}: {word}"
