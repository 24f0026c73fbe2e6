"""Waiting for multiple tasks, with a progress line."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from queue import Empty, SimpleQueue

from localrun.api.interruption import command, explained
from localrun.api.task import Task
from localrun.api.waiting import MAX_SLEEP
from localrun.console.progress import in_notebook, no_progress, wait_progress
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState


def wait_all(
    tasks: Iterable[Task], timeout: float | None = None, *, progress: bool | None = None
) -> list[TaskState]:
    """Block until all tasks have ended. Return their states, in the order of the tasks.

    `progress` shows a progress line on standard error; None: only on a terminal or in a notebook. Ctrl+C
    stops waiting, not the tasks. Raises as `Task.wait`, and `TimeoutError` after `timeout` seconds in total.
    """
    waited = list(tasks)
    show = sys.stderr.isatty() or in_notebook() if progress is None else progress
    with explained(lambda: _left(waited)), wait_progress(len(waited)) if show else no_progress() as advance:
        for task in as_completed(waited, timeout):
            advance(task.wait())
    return [task.wait() for task in waited]


def _left(tasks: Sequence[Task]) -> str:
    """Return the line after Ctrl+C."""
    left = [task for task in tasks if not task.is_terminal]
    if len(left) == 1:
        return left[0].left_line()
    if not left:
        return "stopped waiting; all tasks have ended"
    again = command(left[0].folder.parent.parent, "wait", "--all")
    return f"stopped waiting; {len(left)} tasks continue; wait again: `{again}`"


def as_completed(tasks: Sequence[Task], timeout: float | None = None) -> Iterator[Task]:
    """Yield each task when it has ended or cannot be resumed; its `wait` then returns or raises at once.

    Raises `TimeoutError` after `timeout` seconds in total.
    """
    ended: SimpleQueue[Task] = SimpleQueue()
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    pending = set(tasks)
    for task in tasks:  # start all waits first, so orphaned tasks are resumed in parallel
        _enqueue_when_ended(task, ended)
    while pending:
        found = _next(ended, deadline)
        if found is None:
            noun = "task has" if len(pending) == 1 else "tasks have"
            raise TimeoutError(f"{len(pending)} {noun} not ended after {timeout:g} s")
        if found in pending:
            pending.discard(found)
            yield found


def _enqueue_when_ended(task: Task, ended: SimpleQueue[Task]) -> None:
    def enqueue(_: futures.Future[TaskRecord]) -> None:
        ended.put(task)

    if task.is_terminal:
        ended.put(task)
    else:
        task.end().add_done_callback(enqueue)


def _next(ended: SimpleQueue[Task], deadline: float) -> Task | None:
    """Return the next task that has ended; None at the deadline."""
    while True:
        left = deadline - time.monotonic()
        try:
            return ended.get(timeout=max(0.0, min(MAX_SLEEP, left)))
        except Empty:
            if left <= 0:
                return None
