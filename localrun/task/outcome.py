"""The outcome of a task: its final state and the fields that are saved with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from localrun import fs
from localrun.errors import Cause, LocalrunError, internal_error, out_of_memory
from localrun.task.active import ActiveTask
from localrun.task.causes import explain
from localrun.task.states import TaskState

Result = TypeVar("Result")


class Outcome(msgspec.Struct, frozen=True):
    """The final state of a task, and changes to its record."""

    state: TaskState
    changes: dict[str, Any] = msgspec.field(default_factory=dict)

    @classmethod
    def from_error(cls, error: LocalrunError) -> Outcome:
        """Return the outcome of a task that ended with an error."""
        state = TaskState.KILLED if error.cause is Cause.KILLED else TaskState.FAILED
        problems = [problem.as_dict() for problem in error.problems]
        # the user who stopped it needs no remedy
        remedy = error.remedy or ("" if state is TaskState.KILLED else explain(error.cause).remedy)
        cause, message = str(error.cause), error.message
        return cls(state, {"cause": cause, "message": message, "remedy": remedy, "problems": problems})

    def with_changes(self, changes: dict[str, Any]) -> Outcome:
        """Return the outcome with further changes; its own changes win."""
        return Outcome(self.state, {**changes, **self.changes})


def conclude(task: ActiveTask, body: Callable[[], Result]) -> Result | Outcome:
    """Return what `body` returns, e.g. an outcome, or the outcome of the error which it raises."""
    try:
        return body()
    except LocalrunError as error:
        return Outcome.from_error(error)
    except Exception as error:  # noqa: BLE001 - even a bug of localrun must end the task
        return internal_error_outcome(task, error)


def internal_error_outcome(task: ActiveTask, error: Exception) -> Outcome:
    """Return the outcome of an internal error, and save its traceback in the task's folder."""
    if isinstance(error, OSError) and fs.is_disk_full(error):
        return Outcome.from_error(fs.write_error(task.workspace.path, error))
    lost = out_of_memory(error)
    if lost is not None:
        return Outcome.from_error(lost)
    import traceback

    path, text = task.workspace.path / "traceback.txt", traceback.format_exc()
    with suppress(OSError):
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return Outcome.from_error(internal_error(error, str(path)))
