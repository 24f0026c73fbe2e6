"""The request to another process to stop a task of it."""

from __future__ import annotations

from localrun.engines.labels import LABEL_TASK
from localrun.runner.runner import Runner
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace


def request_kill(record: TaskRecord, workspace: Workspace, runner: Runner, grace: float) -> bool:
    """Ask the process that owns a task to stop it, and stop its container within `grace` seconds.

    Returns False, and does nothing, if the container has ended by itself: its process is about to end the
    task.
    """
    containers = runner.engine.find({LABEL_TASK: record.id})
    ended = any(found.started and not found.running for found in containers)
    if ended and not workspace.kill_requested and not record.run_plan.retries:
        return False
    workspace.request_kill()
    runner.admission.wake(record.id)
    for found in containers:
        runner.engine.stop(found.handle, grace)
    return True
