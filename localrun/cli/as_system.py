"""`--as SYSTEM`: a task in the words of another system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from localrun.platforms import vocabulary
from localrun.platforms.vocabulary import systems
from localrun.task.states import StepName, TaskState

if TYPE_CHECKING:
    from localrun.errors import Cause
    from localrun.platforms.vocabulary.translation import Translation
    from localrun.task.record import TaskRecord

as_system = click.option(
    "--as",
    "system",
    type=click.Choice(systems.SYSTEMS),
    help="In the words of this system, which `localrun explain` knows.",
)


def translate(record: TaskRecord, system: str) -> Translation:
    """A task in the words of a system."""
    return vocabulary.translate(record.state, record.step, _cause(record), system)


def _cause(record: TaskRecord) -> Cause | None:
    """A cause that a later localrun wrote counts as none."""
    from localrun.errors import Cause

    return {str(cause): cause for cause in Cause}.get(record.cause or "")


def history(record: TaskRecord, system: str) -> Iterator[tuple[str, float]]:
    """What a task went through in the words of a system, each with its time in seconds since 1970.

    What the system has one word for is one line; iExec tells the reason before FAILED.
    """
    last = ""
    for saying, since in translations(record, system):
        for word in filter(None, (saying.reason, saying.status)):
            if word != last:
                yield word, since
            last = word


def translations(record: TaskRecord, system: str) -> Iterator[tuple[Translation, float]]:
    """A task at each moment that a state or a step began, in the words of a system."""
    for state, step, since in _moments(record):
        yield vocabulary.translate(state, step, _cause(record) if state.is_final else None, system), since


def _moments(record: TaskRecord) -> Iterator[tuple[TaskState, StepName | None, float]]:
    """Each time that a state or a step began, in order."""
    begun: list[tuple[float, TaskState | StepName]] = [(since, state) for state, since in record.history]
    begun += [(step.started, step.name) for step in record.steps if step.started is not None]
    state: TaskState = record.state
    step: StepName | None = None
    for since, what in sorted(begun, key=lambda one: one[0]):
        if isinstance(what, StepName):
            step = what
        else:
            state = what
            # a task that waits anew begins its steps anew; one that ends did so in its last
            step = step if state is TaskState.RUNNING or state.is_final else None
        yield state, step, since


def as_fields(record: TaskRecord, system: str | None) -> dict[str, Any]:
    """What `--as` adds to a JSON record."""
    if system is None:
        return {}
    return {"as": translate(record, system).as_dict() | {"history": list(history(record, system))}}


def state_and_cause(record: TaskRecord, system: str | None) -> tuple[str, str]:
    """The two columns of a list."""
    if system is None:
        return str(record.state), record.cause or ""
    saying = translate(record, system)
    return saying.status, saying.cause


def status_rows(record: TaskRecord, system: str) -> Iterator[tuple[str, str]]:
    """The lines of a sheet."""
    saying = translate(record, system)
    title = systems.TITLES[system]
    code = "" if saying.code.lower() == saying.status.lower() else f" ({saying.code})"
    yield title, saying.status + code
    for name, word in (("reason", saying.reason), ("replicate", saying.replica), ("cause", saying.cause)):
        if word:
            yield "", f"{name}: {word}"
