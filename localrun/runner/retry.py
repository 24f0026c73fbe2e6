"""Running a task again after its container was lost."""

from __future__ import annotations

import time
from collections.abc import Callable

from localrun.engines.base import Engine
from localrun.engines.labels import LABEL_TASK
from localrun.errors import Cause, ContainerGone, EngineError
from localrun.task.active import ActiveTask
from localrun.task.outcome import Outcome

_INTERVAL = 0.1  # seconds between attempts to remove a lost container


def run_with_retries(
    task: ActiveTask, first: Callable[[], Outcome], again: Callable[[], Outcome], clean_up: Callable[[], None]
) -> Outcome:
    """Return the outcome of `first`, or of `again` while the container is lost and retries are left.

    A container is lost if the engine stopped it to shut down, or if a restart of the engine stopped or
    removed it. Raises as `first` and `again` for other errors.
    """
    attempt = first
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
        attempt = again


def remove_lost_containers(engine: Engine, task: ActiveTask, patience: float) -> None:
    """Remove the containers of earlier attempts, whose name the next one needs.

    An engine that has just restarted may need a while. Raises `EngineError` after `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        reason = "the engine still lists it"
        try:
            lost = engine.find({LABEL_TASK: task.id})
            if not lost:
                return
            for found in lost:
                engine.remove(found.handle)
        except EngineError as error:
            reason = error.message
        if time.monotonic() >= deadline:
            message = f"cannot run the task again: its lost container could not be removed: {reason}"
            raise EngineError(message, remedy="restart the engine, and run the task again")
        task.wait_for_cancel(_INTERVAL)
        task.check_cancelled()
