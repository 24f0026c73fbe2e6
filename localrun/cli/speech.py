"""`--as SYSTEM`: a task in the words of another system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from localrun import vocabulary

if TYPE_CHECKING:
    from localrun.record import TaskRecord
    from localrun.vocabulary.translation import Saying

as_system = click.option(
    "--as",
    "system",
    type=click.Choice(vocabulary.SYSTEMS),
    help="In the words of this system, which `localrun explain` knows.",
)


def spoken(record: TaskRecord, system: str) -> Saying:
    """A task in the words of a system. A cause that a later localrun wrote counts as none."""
    from localrun.errors import Cause

    known = {str(cause): cause for cause in Cause}
    return vocabulary.say(record.state, record.step, known.get(record.cause or ""), system)


def as_fields(record: TaskRecord, system: str | None) -> dict[str, Any]:
    """What `--as` adds to a JSON record."""
    return {} if system is None else {"as": spoken(record, system).as_dict()}


def state_and_cause(record: TaskRecord, system: str | None) -> tuple[str, str]:
    """The two columns of a list."""
    if system is None:
        return str(record.state), record.cause or ""
    saying = spoken(record, system)
    return saying.status, saying.cause


def facts(record: TaskRecord, system: str) -> Iterator[tuple[str, str]]:
    """The lines of a sheet."""
    saying = spoken(record, system)
    title = vocabulary.TITLES[system]
    same = "" if saying.code == saying.status else f" ({saying.code})"
    yield f"{title}", saying.status + same
    for name, word in (("reason", saying.reason), ("replicate", saying.replica), ("cause", saying.cause)):
        if word:
            yield "", f"{name}: {word}"
