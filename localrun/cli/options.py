"""Options and arguments that several commands have, and what may be written for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from localrun import units

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_SHORTEST = 0.1  # seconds between two looks

Value = TypeVar("Value")


def _told(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """A function that reads an option's value; its `ValueError` is what the user is told."""

    def read(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return read


def _cpus(text: str) -> float:
    try:
        cpus = float(text)
    except ValueError:
        cpus = 0.0
    if not 0 < cpus < float("inf"):
        raise ValueError(f"{text!r} is no number of processors; write for example 2 or 0.5")
    return cpus


def _memory(text: str) -> int:
    size = units.parse_bytes(text)
    if size < 6 * 1024**2:  # Docker's own minimum
        raise ValueError(f"{text!r} is less than the 6 MiB that a container needs; write for example 512Mi")
    return size


def _period(text: str) -> float:
    try:
        seconds = units.parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no number of seconds; write an ID before --watch") from error
    return max(seconds, _SHORTEST)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"{text!r} is not NAME=VALUE")
    return name, value


CPUS = _told(_cpus)
MEMORY = _told(_memory)
DURATION = _told(units.parse_duration)
PAIR = _told(_pair)
SIZE = _told(units.parse_bytes)

Pairs = tuple[tuple[str, str], ...]

image = click.option("--image", metavar="REF", help="Use this image of the engine, not the bundle's.")
build_args = click.option(
    "--build-arg",
    "build_args",
    type=PAIR,
    metavar="N=V",
    multiple=True,
    help="A build argument for the bundle's Dockerfile.",
)
quiet = click.option("-q", "--quiet", is_flag=True, help="Show results and errors, nothing else.")
watch = click.option(
    "-w",
    "--watch",
    type=_told(_period),
    metavar="[SEC]",
    is_flag=False,
    flag_value="2",
    help="Show it anew every SEC seconds (2), until the task has ended or Ctrl+C.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON record on standard output.")


def complete_task(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What may be typed for an ID."""
    from localrun.cli import completers

    return completers.tasks(ctx, incomplete)


def complete_file(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What may be typed for a file of the task that stands in the line."""
    from localrun.cli import completers

    return completers.files(ctx, incomplete)


def complete_input(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What may be typed for NAME=VALUE."""
    from localrun.cli import completers

    return completers.inputs(ctx, incomplete)


task_id = click.argument("task_id", metavar="ID", shell_complete=complete_task)
task_ids = click.argument("task_ids", metavar="ID...", nargs=-1, shell_complete=complete_task)
