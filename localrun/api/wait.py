"""Waiting for many tasks, with one line that tells how far they are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from localrun.api.task import ATTENTION, Task
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState

Told = Callable[[TaskState], None]


def wait_all(
    tasks: Iterable[Task], timeout: float | None = None, *, progress: bool | None = None
) -> list[TaskState]:
    """Block until all tasks have ended; their states, in the order of the tasks.

    `progress` shows one line on standard error; None: when that is a terminal, or the cell of a notebook.
    Ctrl+C ends the waiting, not the tasks. Raises as `Task.wait`, `TimeoutError` after `timeout` seconds for
    all of them together.
    """
    waited = list(tasks)
    show = sys.stderr.isatty() or in_notebook() if progress is None else progress
    with line(len(waited)) if show else _nothing() as tell:
        for task in as_they_end(waited, timeout):
            tell(task.wait())
    return [task.wait() for task in waited]


def as_they_end(tasks: Sequence[Task], timeout: float | None = None) -> Iterator[Task]:
    """The tasks, each when it has ended or nobody can carry it on; `Task.wait` tells which at once.

    Raises `TimeoutError` after `timeout` seconds for all of them together.
    """
    ended: SimpleQueue[Task] = SimpleQueue()
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    pending = set(tasks)
    for task in tasks:  # all at once: those of a process that died go on side by side
        _tell_end(task, ended)
    while pending:
        found = _next(ended, deadline)
        if found is None:
            noun = "task has" if len(pending) == 1 else "tasks have"
            raise TimeoutError(f"{len(pending)} {noun} not ended after {timeout:g} s")
        if found in pending:
            pending.discard(found)
            yield found


def _tell_end(task: Task, ended: SimpleQueue[Task]) -> None:
    def tell(_: futures.Future[TaskRecord]) -> None:
        ended.put(task)

    if task.is_terminal:
        ended.put(task)
    else:
        task.end().add_done_callback(tell)


def _next(ended: SimpleQueue[Task], deadline: float) -> Task | None:
    """The next that has ended; None at the deadline."""
    while True:
        left = deadline - time.monotonic()
        try:
            return ended.get(timeout=max(0.0, min(ATTENTION, left)))
        except Empty:
            if left <= 0:
                return None


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, whose cells show what is written but are no terminals."""
    return "ipykernel" in sys.modules and not sys.stderr.isatty()


@contextmanager
def _nothing() -> Iterator[Told]:
    yield lambda _: None


@contextmanager
def line(total: int) -> Iterator[Told]:
    """A line on standard error that tells how many have ended; it is told the state of each."""
    with _cell(total) if in_notebook() else _bar(total) as tell:
        yield tell


@contextmanager
def _cell(total: int) -> Iterator[Told]:
    """A line that begins anew with each task: all that a notebook needs, and no widgets."""
    ended = failed = 0

    def write() -> None:
        note = f", {failed} not finished" if failed else ""
        sys.stderr.write(f"\rtasks {ended}/{total}{note}")
        sys.stderr.flush()

    def tell(state: TaskState) -> None:
        nonlocal ended, failed
        ended, failed = ended + 1, failed + (state is not TaskState.FINISHED)
        write()

    write()
    try:
        yield tell
    finally:
        sys.stderr.write("\n")


@contextmanager
def _bar(total: int) -> Iterator[Told]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    failed = 0
    columns = (TextColumn("tasks"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    note = TextColumn("{task.fields[note]}", markup=False)
    with Progress(*columns, note, console=Console(stderr=True)) as shown:
        bar = shown.add_task("tasks", total=total, note="")

        def tell(state: TaskState) -> None:
            nonlocal failed
            failed += state is not TaskState.FINISHED
            shown.update(bar, advance=1, note=f"{failed} not finished" if failed else "")

        yield tell
