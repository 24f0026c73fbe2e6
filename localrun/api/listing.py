"""The tasks of a folder."""

from __future__ import annotations

import os

from localrun.api.apps import app_for
from localrun.api.task import Task, TaskHandles


def tasks(home: str | os.PathLike[str] | None = None, *, limit: int | None = None) -> TaskHandles:
    """Return the tasks in the folder `home`, newest first, without replicas; at most `limit` of them.

    `home` None: LOCALRUN_HOME, or `.localrun` in the working directory.
    """
    app = app_for(home)
    return TaskHandles(Task(record.id, app.settings.home) for record in app.tasks(limit))
