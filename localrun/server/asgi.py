"""The application by itself, for servers and tests that take one: all its settings are in the environment."""

from __future__ import annotations

import os
from functools import lru_cache

import anyio.to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from localrun import settings
from localrun.app import App
from localrun.server.application import make_api
from localrun.server.config import Options
from localrun.server.state import Site

# the name by which Starlette's test client calls an application; no name of the internet is without a dot
_NAMES = frozenset({"testserver"})


@lru_cache(maxsize=1)
def shared_app() -> App:
    """The app of this process, for the folder that was the present one when it was first asked for."""
    return App(settings.load(os.environ))


def make_app(app: App | None = None) -> Standalone:
    """The application. Raises `LocalrunError` when the logs cannot be written."""
    options = Options(token=os.environ.get("LOCALRUN_TOKEN") or None, hosts=_NAMES)
    site = Site(app or shared_app(), options)
    return Standalone(make_api(site), site)


class Standalone:
    """Begins with the first request where nobody sends the events of a server's life."""

    def __init__(self, api: ASGIApp, site: Site) -> None:
        self._api = api
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and not self.site.begun:
            await anyio.to_thread.run_sync(self.site.begin)
        await self._api(scope, receive, send)
