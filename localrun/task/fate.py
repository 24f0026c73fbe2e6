"""The fate of a task whose process may have died, as a table.

    the task has ended                       -> ENDED
    a manual task                            -> MANUAL
    its process is alive                     -> OWNED
    not detached, no living parent task      -> END
    CREATED, its inputs were in memory       -> END
    held, CREATED or PROVISIONED             -> AWAIT_START
    CREATED, a replica                       -> RECREATE
    CREATED                                  -> AWAIT_INPUTS
    any later state                          -> RESUME

The first line that matches decides.
"""

from __future__ import annotations

from enum import StrEnum

from localrun.task.process import is_alive
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState


class Fate(StrEnum):
    """The next thing that happens to a task."""

    ENDED = "ended"  # nothing
    OWNED = "owned"  # the process that owns it continues
    MANUAL = "manual"  # it has no container; any process may complete it
    END = "end"  # any process may end it and remove its container
    RECREATE = "recreate"  # the task that it is a replica of creates it again
    AWAIT_INPUTS = "await_inputs"  # any process may receive its missing inputs
    AWAIT_START = "await_start"  # any process may receive its inputs and start it on request
    RESUME = "resume"  # any process may continue to run it

    @property
    def is_resumable(self) -> bool:
        """Whether the task outlives its process and waits for another one."""
        return self in (Fate.RECREATE, Fate.AWAIT_INPUTS, Fate.AWAIT_START, Fate.RESUME)

    @property
    def is_blocked(self) -> bool:
        """Whether the task waits for a request: its result, an input, its start or its parent task."""
        return self in (Fate.MANUAL, Fate.RECREATE, Fate.AWAIT_INPUTS, Fate.AWAIT_START)


def fate(record: TaskRecord, owner_alive: bool, *, parent_alive: bool = False) -> Fate:
    """Return the fate of a task; see the table above. `parent_alive`: as a replica, its parent task runs."""
    if record.state.is_final:
        return Fate.ENDED
    if record.kind == "manual":
        return Fate.MANUAL
    if owner_alive:
        return Fate.OWNED
    if _has_lost_inputs(record) or (not record.run_plan.detached and not parent_alive):
        return Fate.END
    return _continuation(record)


def _has_lost_inputs(record: TaskRecord) -> bool:
    """Return whether a process died before it had written inputs that no client will send again.

    The row of a batch runs again when the batch is resumed.
    """
    waits = record.run_plan.held or record.submitted is not None or record.missing
    is_again = record.replica is not None or record.batch is not None
    return record.state is TaskState.CREATED and not waits and not is_again


def _continuation(record: TaskRecord) -> Fate:
    """Return the fate of a task that another process may continue."""
    if record.run_plan.held and record.state in (TaskState.CREATED, TaskState.PROVISIONED):
        return Fate.AWAIT_START
    if record.state is TaskState.CREATED:
        return Fate.AWAIT_INPUTS if record.replica is None else Fate.RECREATE
    return Fate.RESUME


def current_fate(record: TaskRecord) -> Fate:
    """Return the fate of a task, given whether its process is alive now."""
    return fate(record, record.owner is None or is_alive(record.owner))
