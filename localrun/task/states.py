"""The life of a task, as a table.

    CREATED -> PROVISIONED -> QUEUING -> QUEUED -> PENDING -> RUNNING -> FINISHED
      any state that is not an end -> FAILED | KILLED
      a task without a container:     CREATED -> FINISHED, when it is completed
      whose process died, to wait anew: QUEUED | PENDING | RUNNING -> QUEUING

*Where* a task is says its step; *why* it ended says its cause. A state says neither.
"""

from __future__ import annotations

from enum import StrEnum

from localrun.errors import IllegalTransition


class TaskState(StrEnum):
    """What a task is doing, on one machine."""

    CREATED = "CREATED"  # known; not every required input is there
    PROVISIONED = "PROVISIONED"  # every required input is checked and on disk
    QUEUING = "QUEUING"  # waiting for admission
    QUEUED = "QUEUED"  # admitted: its cpu, memory, gpu and disk are reserved
    PENDING = "PENDING"  # being prepared: image, permissions step, container
    RUNNING = "RUNNING"  # its container has started; until its outputs are collected
    FINISHED = "FINISHED"  # exit code 0 and every declared output there and valid
    FAILED = "FAILED"  # see its cause
    KILLED = "KILLED"  # stopped on request

    @property
    def is_final(self) -> bool:
        """Whether nothing follows this state."""
        return not TRANSITIONS[self]


class StepName(StrEnum):
    """The three parts of a run, in this order."""

    PERMISSIONS = "permissions"
    TASK = "task"
    OUTPUTS = "outputs"


_S = TaskState
_ANY_TIME = frozenset({_S.FAILED, _S.KILLED})

TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    _S.CREATED: frozenset({_S.PROVISIONED, _S.FINISHED}) | _ANY_TIME,
    _S.PROVISIONED: frozenset({_S.QUEUING}) | _ANY_TIME,
    _S.QUEUING: frozenset({_S.QUEUED}) | _ANY_TIME,
    _S.QUEUED: frozenset({_S.PENDING, _S.QUEUING}) | _ANY_TIME,
    _S.PENDING: frozenset({_S.RUNNING, _S.QUEUING}) | _ANY_TIME,
    _S.RUNNING: frozenset({_S.FINISHED, _S.QUEUING}) | _ANY_TIME,
    _S.FINISHED: frozenset(),
    _S.FAILED: frozenset(),
    _S.KILLED: frozenset(),
}


def check_transition(old: TaskState, new: TaskState) -> None:
    """Raise `IllegalTransition` unless `new` may follow `old`."""
    if new not in TRANSITIONS[old]:
        allowed = ", ".join(sorted(TRANSITIONS[old])) or "nothing: it is an end"
        raise IllegalTransition(f"{old} cannot become {new}; what may follow is {allowed}", old=old, new=new)
