"""Progress of a wait for many tasks: a bar on a terminal, one line in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from localrun.task.states import TaskState

Advance = Callable[[TaskState], None]


def in_notebook() -> bool:
    """Return whether this process is a notebook kernel, whose cells show stderr but are not terminals."""
    return "ipykernel" in sys.modules and not sys.stderr.isatty()


@contextmanager
def no_progress() -> Iterator[Advance]:
    yield lambda _: None


@contextmanager
def wait_progress(total: int) -> Iterator[Advance]:
    """Show on standard error how many of `total` tasks have ended. Call the result with each final state."""
    with _notebook_line(total) if in_notebook() else _bar(total) as advance:
        yield advance


@contextmanager
def _notebook_line(total: int) -> Iterator[Advance]:
    """One line that is rewritten for each task. It needs no widgets."""
    ended = failed = 0

    def write() -> None:
        note = f", {failed} not finished" if failed else ""
        sys.stderr.write(f"\rtasks {ended}/{total}{note}")
        sys.stderr.flush()

    def advance(state: TaskState) -> None:
        nonlocal ended, failed
        ended, failed = ended + 1, failed + (state is not TaskState.FINISHED)
        write()

    write()
    try:
        yield advance
    finally:
        sys.stderr.write("\n")


@contextmanager
def _bar(total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    failed = 0
    columns = (TextColumn("tasks"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    note = TextColumn("{task.fields[note]}", markup=False)
    with Progress(*columns, note, console=Console(stderr=True)) as shown:
        bar = shown.add_task("tasks", total=total, note="")

        def advance(state: TaskState) -> None:
            nonlocal failed
            failed += state is not TaskState.FINISHED
            shown.update(bar, advance=1, note=f"{failed} not finished" if failed else "")

        yield advance
