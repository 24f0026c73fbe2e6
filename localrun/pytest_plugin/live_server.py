"""The fixture `localrun_server`: a live server, and a client of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from localrun.app import App
from localrun.server.application import make_api
from localrun.server.config import ServerOptions
from localrun.server.sockets import listen
from localrun.server.state import ServerState
from localrun.server.uvicorn_server import serve_in_thread


@dataclass(frozen=True)
class Answer:
    """What the server answered, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Asks a server, over a connection of its own each time. `timeout` is in seconds."""

    url: str
    token: str | None = None
    timeout: float = 60.0

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Ask, and read the whole answer. Raises OSError when there is none."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if json is not None:
            body, headers = _encoded(json), {**headers, "Content-Type": "application/json"}
        query = f"?{urlencode(params)}" if params else ""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=self.timeout)
        try:
            connection.request(method, path + query, body, headers)
            found = connection.getresponse()
            return Answer(found.status, dict(found.headers), found.read())
        finally:
            connection.close()

    def get(self, path: str, **params: Any) -> Answer:
        """GET with these parameters."""
        return self.request("GET", path, params=params)

    def post(self, path: str, json: Any = None) -> Answer:
        """POST an object as JSON."""
        return self.request("POST", path, json=json)

    def put(self, path: str, json: Any = None, body: bytes | None = None) -> Answer:
        """PUT an object as JSON, or bytes as they are."""
        return self.request("PUT", path, json=json, body=body)

    def delete(self, path: str) -> Answer:
        """DELETE."""
        return self.request("DELETE", path)


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@dataclass(frozen=True)
class LiveServer:
    """A server that answers while the test runs. `url` is without a slash at its end."""

    url: str
    client: Client
    app: App = field(repr=False)


@contextmanager
def run_server(app: App, options: ServerOptions) -> Iterator[LiveServer]:
    """A server on a free port of this machine."""
    site = ServerState(app, options)
    sockets = listen("127.0.0.1", 0)
    try:
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        with serve_in_thread(make_api(site), site, sockets):
            yield LiveServer(url, Client(url, options.token), app)
    finally:
        for each in sockets:
            each.close()
