"""The application by itself, for servers and tests that take one: all its settings are in the environment."""

from __future__ import annotations

import os
from functools import lru_cache

import anyio.to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from localrun import settings
from localrun.app import App
from localrun.server.application import make_api
from localrun.server.config import ServerOptions
from localrun.server.state import ServerState

# the name by which Starlette's test client calls an application; no name of the internet is without a dot
_NAMES = frozenset({"testserver"})


@lru_cache(maxsize=1)
def shared_app() -> App:
    """The app of this process, for the folder that was the present one when it was first asked for."""
    return App(settings.load(os.environ))


def make_app(app: App | None = None) -> StandaloneApp:
    """The application. Raises `LocalrunError` when the logs cannot be written."""
    options = ServerOptions(token=os.environ.get("LOCALRUN_TOKEN") or None, hosts=_NAMES)
    site = ServerState(app or shared_app(), options)
    return StandaloneApp(make_api(site), site)


class StandaloneApp:
    """Begins with the first request where nobody sends the events of a server's life."""

    def __init__(self, api: ASGIApp, site: ServerState) -> None:
        self._api = api
        self.state = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and not self.state.is_started:
            await anyio.to_thread.run_sync(self.state.start)
        await self._api(scope, receive, send)
