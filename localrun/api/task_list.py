"""Lists of tasks, which notebooks show as a table."""

from __future__ import annotations

import os
from typing import Any, SupportsIndex, overload

from localrun.api.apps import app_for
from localrun.api.task import Task


class TaskList(list[Task]):
    """A list of task handles."""

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Task: ...
    @overload
    def __getitem__(self, index: slice, /) -> TaskList: ...
    def __getitem__(self, index: Any, /) -> Any:
        found = super().__getitem__(index)
        return TaskList(found) if isinstance(index, slice) else found

    def _repr_html_(self) -> str:
        """Return a table in HTML without scripts, for notebooks; 200 KB at most."""
        from localrun.report.page.notebook import list_html

        return list_html(record for task in self if (record := task.record_or_none()) is not None)


def tasks(home: str | os.PathLike[str] | None = None, *, limit: int | None = None) -> TaskList:
    """Return the tasks in the folder `home`, newest first, without replicas; at most `limit` of them.

    `home` None: LOCALRUN_HOME, or `.localrun` in the working directory.
    """
    app = app_for(home)
    return TaskList(Task(record.id, app.settings.home) for record in app.tasks(limit))
