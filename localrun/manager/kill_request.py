"""The request to another process to stop a task of it."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

from localrun.admission.wakeup import Wakeup, name_of, notify
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
    if record.owner is not None:  # the task may wait for inputs there
        notify([name_of(record.owner.pid, _key(workspace.path.parents[1]))])
    for found in containers:
        runner.engine.stop(found.handle, grace)
    return True


def wakeup_for_kills(home: Path) -> Wakeup:
    """Return a wakeup that `request_kill` signals for the tasks of a folder.

    Only the first one in a process is signalled, and not from another container's network.
    """
    try:
        return Wakeup(_key(home))
    except OSError:  # another manager of this process has it
        return Wakeup()


def _key(home: Path) -> str:
    return blake2b(os.fsencode(os.path.realpath(home)), digest_size=16).hexdigest()
