"""Options that select tasks, and those that set metadata."""

from __future__ import annotations

from typing import Any

import click

from localrun.cli import options
from localrun.task.metadata import parse_text
from localrun.task.selection import TaskSelection, parse_since, parse_states
from localrun.task.states import TaskState


def _metadata(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return key, parse_text(value)


def _condition(text: str) -> str:
    if not text or text.startswith("="):
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return text


with_metadata = click.option(
    "--metadata",
    cls=options.Repeated,
    type=options.param_type("KEY=VALUE", _metadata),
    multiple=True,
    help="Attach a value, JSON or text, to the task.",
)

with_selection = options.combine(
    click.option(
        "--state",
        type=click.Choice([str(state) for state in TaskState], case_sensitive=False),
        help="List only tasks in this state.",
    ),
    click.option("--name", metavar="NAME", help="List only tasks of this name, e.g. 'add*'."),
    click.option(
        "--since",
        type=options.param_type("DURATION|TIME", parse_since),
        help="List only tasks created since then, e.g. 2h or 2026-11-30T12:00.",
    ),
    click.option(
        "--metadata",
        cls=options.Repeated,
        type=options.param_type("KEY=VALUE", _condition),
        multiple=True,
        help="List only tasks with this metadata.",
    ),
)


def pop_selection(given: dict[str, Any]) -> TaskSelection:
    """Remove the options of `with_selection` and return the selection."""
    return TaskSelection(
        states=parse_states(given.pop("state")),
        name=given.pop("name"),
        since=given.pop("since"),
        metadata_texts=given.pop("metadata"),
    )
