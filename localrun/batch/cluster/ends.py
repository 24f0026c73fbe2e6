"""The ends of tasks of this machine whose outputs rows need."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress

from localrun.app import App
from localrun.batch.cluster.connection import Notify
from localrun.errors import LocalrunError
from localrun.task.record import short_id

_PAUSE = 2.0  # seconds until a task that no process owns, or whose engine is away, is looked at again


class TaskEnds:
    """Waits for tasks, in one thread for each of them, however many rows need it. Lives in one event loop."""

    def __init__(self, app: App, notify: Notify) -> None:
        self._app, self._notify = app, notify
        self._ended: dict[str, asyncio.Event] = {}

    async def wait_for(self, task_id: str) -> None:
        """Return when a task has ended, or was deleted."""
        if task_id not in self._ended:
            self._ended[task_id] = ended = asyncio.Event()
            self._notify(f"waiting for task {short_id(task_id)}, whose outputs are inputs of rows")
            arguments = (task_id, ended, asyncio.get_running_loop())
            name = f"needs-{short_id(task_id)}"
            threading.Thread(target=self._wait, args=arguments, name=name, daemon=True).start()
        await self._ended[task_id].wait()

    def _wait(self, task_id: str, ended: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        workspace = self._app.store.open(task_id)
        while not loop.is_closed():
            with suppress(LocalrunError):  # deleted, or its engine does not answer
                self._app.wait(task_id)
            record = workspace.load_or_none()
            if record is None or record.state.is_final:
                break
            time.sleep(_PAUSE)
        with suppress(RuntimeError):  # the batch was stopped
            loop.call_soon_threadsafe(ended.set)
