"""The place where the rows of a batch run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from localrun.batch.rows import Row
from localrun.bundle.reader import Bundle
from localrun.errors import Problem
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState

_MOST_PROBLEMS = 3  # in the message of a result


class RowResult(msgspec.Struct, frozen=True):
    """The end of a row.

    `task` is the id of its task in the folder of tasks, or of the earlier one whose result is `reused`; empty
    if it was refused. `node` is the machine that ran it; empty: this one. `duration` is in seconds,
    `peak_memory` in bytes. `outputs` are values as in a record; files are paths. `not_reused` is why no
    result was reused, if that was asked for. `warnings` are those of the task.
    """

    row: Row
    state: TaskState
    cause: str | None = None
    message: str = ""
    task: str = ""
    node: str = ""
    duration: float | None = None
    peak_memory: int | None = None
    outputs: Mapping[str, Any] = msgspec.field(default_factory=dict)
    reused: bool = False
    not_reused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_finished(self) -> bool:
        return self.state is TaskState.FINISHED


def result_of(row: Row, record: TaskRecord, *, node: str = "", reused: bool = False) -> RowResult:
    """Return the result of a row whose task has ended."""
    return RowResult(
        row=row,
        state=record.state,
        cause=record.cause,
        message="" if record.state is TaskState.FINISHED else _message(record),
        task=record.id,
        node=node,
        duration=record.duration,
        peak_memory=None if record.usage is None else record.usage.memory_peak,
        outputs=record.outputs,
        reused=reused,
        warnings=tuple(record.warnings),
    )


def _message(record: TaskRecord) -> str:
    """Return why a task did not finish, with its first problems."""
    problems = [str(Problem.from_dict(problem)) for problem in record.problems]
    more = [f"and {len(problems) - _MOST_PROBLEMS} more"] if len(problems) > _MOST_PROBLEMS else []
    return "; ".join([record.message, *problems[:_MOST_PROBLEMS], *more])


class Backend(Protocol):
    """Runs rows. Only `cancel`, `states` and `nodes` may be called from another thread than the others.

    `slots` is the number of rows to keep in flight at most: enough that none of the machines is idle.
    The task of each result is in the folder of tasks of this machine, with its outputs.
    """

    @property
    def slots(self) -> int: ...

    def prepare(self, bundle: Bundle) -> str:
        """Make the image available before the first row, and return what identifies its content.

        Called once. Raises `LocalrunError` if no row could run, e.g. because the image cannot be built.
        """

    def start(self, row: Row, attempt: int) -> None:
        """Start a row and return at once.

        If an earlier process has started this attempt of the row, or an earlier attempt which finished or
        still runs, it is adopted instead of repeated. Raises `LocalrunError` if no row can run now, e.g.
        without an engine; a row that alone is refused ends instead as FAILED.
        """

    def next(self, timeout: float | None = None) -> RowResult | None:
        """Return the next row that has ended; None after `timeout` seconds, or if none is in flight.

        Without a timeout, None means that `nodes` may have changed.

        Raises `LocalrunError` if the end of a row cannot be known.
        """

    def states(self) -> Mapping[str, int]:
        """Return how many of the rows in flight are in each state."""

    def nodes(self) -> Mapping[str, int]:
        """Return how many rows run on each node of a cluster, by its name."""

    def cancel(self, grace: float | None = None) -> None:
        """Stop the rows in flight, and return when nothing of them remains.

        `grace` are the seconds between SIGTERM and SIGKILL; None: those of the settings. `next` returns the
        rows that have ended nevertheless, and the others as KILLED. Rows that are started later end at once.
        """

    def close(self) -> None:
        """Release everything that the backend holds."""
