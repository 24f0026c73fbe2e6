"""Running a task again after its container was lost."""

from __future__ import annotations

from collections.abc import Callable

from localrun.errors import Cause, ContainerGone
from localrun.task.active import ActiveTask
from localrun.task.outcome import Outcome


def run_with_retries(
    task: ActiveTask, attempt: Callable[[], Outcome], clean_up: Callable[[], None]
) -> Outcome:
    """Return the outcome of `attempt`, repeated while the container is lost and the task has retries left.

    A container is lost if an engine restart stopped or removed it. Raises as `attempt` for other errors.
    """
    while True:
        try:
            outcome = attempt()
        except ContainerGone as error:
            outcome = Outcome.from_error(error)
        lost = outcome.changes.get("cause") == str(Cause.ENGINE_LOST)
        if not lost or task.is_cancelled or not task.use_retry():
            return outcome
        clean_up()
        task.start_over()
        task.warn("the container was lost in an engine restart; running the task again")
