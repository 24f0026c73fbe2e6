"""The ASGI application for other servers and for tests, configured by environment variables."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import anyio.to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from localrun import settings
from localrun.app import App
from localrun.server.application import make_api
from localrun.server.config import server_options
from localrun.server.state import ServerState
from localrun.server.task_system.project_tasks import ProjectTasks


@lru_cache(maxsize=1)
def shared_app() -> App:
    """Return the app of this process, for the working directory at the time of the first call."""
    return App(settings.load(os.environ))


def make_app(app: App | None = None, find_task_manager: Callable[[], Any] | None = None) -> StandaloneApp:
    """Return the application. Raises `LocalrunError` if the logs are not writable.

    With `find_task_manager`, the routes of the Task System call the object that it returns.
    """
    names = frozenset({"testserver"})  # sent by Starlette's test client; public host names contain a dot
    app = app or shared_app()
    options = server_options(app.settings, token=os.environ.get("LOCALRUN_TOKEN"), names=names)
    state = ServerState(app, options)
    if find_task_manager is not None:
        state.project_tasks = ProjectTasks(state, find_task_manager)
    return StandaloneApp(make_api(state), state)


class StandaloneApp:
    """Starts the server state on the first request, for hosts that send no ASGI lifespan events."""

    def __init__(self, api: ASGIApp, state: ServerState) -> None:
        self._api = api
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self.state.is_started:
            await anyio.to_thread.run_sync(self.state.start)
        await self._api(scope, receive, send)
