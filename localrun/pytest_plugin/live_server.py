"""The fixture `localrun_server`: a live server and its client."""

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
    """A response of the server, with any status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the parsed JSON body. Raises ValueError if it is not JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """An HTTP client that opens a connection per request. `timeout` is in seconds."""

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
        """Send a request and read the whole response. Raises OSError if there is none."""
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
        return self.request("GET", path, params=params)

    def post(self, path: str, json: Any = None) -> Answer:
        return self.request("POST", path, json=json)

    def put(self, path: str, json: Any = None, body: bytes | None = None) -> Answer:
        return self.request("PUT", path, json=json, body=body)

    def delete(self, path: str) -> Answer:
        return self.request("DELETE", path)


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


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
