"""Held tasks: their inputs arrive in any order and may be replaced, and they start on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localrun.manager.pending_inputs import PendingInputs
from localrun.manager.submission import PreparedTask
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState


class HeldTasks:
    """The held tasks of a manager. Thread-safe.

    `pending` holds them until `start` is called. `find` returns the record of a task, `check` raises
    `AdmissionError` if this machine can never run it.
    """

    def __init__(
        self,
        pending: PendingInputs,
        find: Callable[[str], TaskRecord],
        check: Callable[[ActiveTask], None],
        start: Callable[[PreparedTask], None],
    ) -> None:
        self._pending = pending
        self._find = find
        self._check = check
        self._start = start

    def get(self, task_id: str) -> PreparedTask:
        """Return a task that was not started. Raises `UsageError`, or `TaskNotFound`."""
        return self._pending.held(self._find(task_id))

    def note(self, task_id: str, missing: Sequence[str], received: Mapping[str, Any]) -> TaskRecord:
        """Note which inputs a task has, for display, and which it lacks. Raises as `get`.

        Without any that it lacks, it becomes PROVISIONED, and stays so.
        """
        from localrun.masking.redaction import Redactor

        task = self.get(task_id).task
        shown = Redactor().redact(task.masker.mask_json(dict(received)))
        changes = {"missing": list(missing), "received": shown}
        if missing:
            task.update(**changes)
            task.save()
        else:
            _provision(task, **changes)
        return task.record

    def start(self, task_id: str, describe: Callable[[PreparedTask], Mapping[str, Any]]) -> TaskRecord:
        """Start a provisioned task, whose inputs are in its folder.

        `describe` returns the fields of the record for the inputs; the task is still held if it raises.
        Raises as `get` if it was started already, and `AdmissionError`; it is still held then.
        """
        prepared = self.get(task_id)
        with prepared.guard:
            task = self.get(task_id).task  # another request may have started it
            changes = describe(prepared)
            self._check(task)
            plan = task.record.run_plan.replace(held=False)
            _provision(task, **changes, missing=[], received={}, plan=plan)
            if self._pending.pop(task_id) is not None:
                self._start(prepared)
        return task.record


def _provision(task: ActiveTask, **changes: Any) -> None:
    """Enter PROVISIONED, or stay in this state."""
    if task.record.state is TaskState.CREATED:
        task.transition(TaskState.PROVISIONED, **changes)
    else:
        task.update(**changes)
        task.save()
