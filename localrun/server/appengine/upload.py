"""Accept an uploaded bundle, or refuse it as App Engine does."""

from __future__ import annotations

from pathlib import Path

from localrun.bundle.reader import read_bundle
from localrun.server.appengine.errors import AppEngineError
from localrun.server.appengine.service import AppEngine
from localrun.server.appengine.uploaded_tasks import BUNDLE, DuplicateTask, UploadedTask


def add(service: AppEngine, folder: Path) -> UploadedTask:
    """Make a task of the bundle in a folder of `UploadedTasks.receiving`. Raises `AppEngineError`."""
    found = read_bundle(folder / BUNDLE, cache=service.app.settings.cache)
    try:
        return service.tasks.add(folder, found.descriptor)
    except DuplicateTask:
        raise AppEngineError(409, "APPE-internal-task-exists", "Task already exists.") from None
