"""The states of a task, as a table.

    CREATED -> PROVISIONED -> QUEUING -> QUEUED -> PENDING -> RUNNING -> FINISHED
      any state that is not final -> FAILED | KILLED
      a manual task that is completed: CREATED -> FINISHED
      a task whose outputs a client sends: PROVISIONED | QUEUING | QUEUED | PENDING -> FINISHED
      a task that is queued again after its process died: QUEUED | PENDING | RUNNING -> QUEUING

The step says *where* a task is, the cause *why* it ended. A state says neither.
"""

from __future__ import annotations

from enum import StrEnum

from localrun.errors import IllegalTransition


class TaskState(StrEnum):
    """The state of a task."""

    CREATED = "CREATED"  # registered; a required input may be missing
    PROVISIONED = "PROVISIONED"  # all required inputs are valid and on disk
    QUEUING = "QUEUING"  # waiting for admission
    QUEUED = "QUEUED"  # admitted: its CPU, memory, GPU and disk are reserved
    PENDING = "PENDING"  # being prepared: image, permissions step, container
    RUNNING = "RUNNING"  # its container has started; its outputs are not collected yet
    FINISHED = "FINISHED"  # exit code 0, and every declared output is valid
    FAILED = "FAILED"  # see its cause
    KILLED = "KILLED"  # stopped on request

    @property
    def is_final(self) -> bool:
        return not TRANSITIONS[self]


class StepName(StrEnum):
    """The steps of a run, in order."""

    PERMISSIONS = "permissions"
    TASK = "task"
    OUTPUTS = "outputs"


_S = TaskState
_ANY_TIME = frozenset({_S.FAILED, _S.KILLED})

TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    _S.CREATED: frozenset({_S.PROVISIONED, _S.FINISHED}) | _ANY_TIME,
    _S.PROVISIONED: frozenset({_S.QUEUING, _S.FINISHED}) | _ANY_TIME,
    _S.QUEUING: frozenset({_S.QUEUED, _S.FINISHED}) | _ANY_TIME,
    _S.QUEUED: frozenset({_S.PENDING, _S.QUEUING, _S.FINISHED}) | _ANY_TIME,
    _S.PENDING: frozenset({_S.RUNNING, _S.QUEUING, _S.FINISHED}) | _ANY_TIME,
    _S.RUNNING: frozenset({_S.FINISHED, _S.QUEUING}) | _ANY_TIME,
    _S.FINISHED: frozenset(),
    _S.FAILED: frozenset(),
    _S.KILLED: frozenset(),
}


def check_transition(old: TaskState, new: TaskState) -> None:
    """Raise `IllegalTransition` unless `new` may follow `old`."""
    if new not in TRANSITIONS[old]:
        allowed = ", ".join(sorted(TRANSITIONS[old])) or "none: it is final"
        message = f"invalid transition from {old} to {new}; allowed: {allowed}"
        raise IllegalTransition(message, old=old, new=new)
