"""Waiting for many tasks, with one line that tells how far they are."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from queue import Empty, SimpleQueue

from localrun.api.task import MAX_SLEEP, Task
from localrun.console.progress import in_notebook, no_progress, wait_progress
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState


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
    with wait_progress(len(waited)) if show else no_progress() as tell:
        for task in as_completed(waited, timeout):
            tell(task.wait())
    return [task.wait() for task in waited]


def as_completed(tasks: Sequence[Task], timeout: float | None = None) -> Iterator[Task]:
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
            return ended.get(timeout=max(0.0, min(MAX_SLEEP, left)))
        except Empty:
            if left <= 0:
                return None
