"""The fixture `localrun_server`: a live server and its client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from localrun.app import App
from localrun.server.application import make_api
from localrun.server.client.client import Client
from localrun.server.config import ServerOptions
from localrun.server.sockets import listen
from localrun.server.state import ServerState
from localrun.server.uvicorn_server import serve_in_thread


@dataclass(frozen=True)
class LiveServer:
    """A server that runs during the test. `url` has no trailing slash."""

    url: str
    client: Client
    app: App = field(repr=False)


@contextmanager
def run_server(app: App, options: ServerOptions) -> Iterator[LiveServer]:
    site = ServerState(app, options)
    sockets = listen("127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        with serve_in_thread(make_api(site), site, sockets):
            yield LiveServer(url, Client(url, options.token), app)
    finally:
        for each in sockets:
            each.close()
