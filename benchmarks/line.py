"""Servers, and a minimal client, so that the server is measured and not the client."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from program import PROJECT, environment

_PORT = re.compile(r"http://127\.0\.0\.1:(\d+)")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Line:
    """A persistent connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._socket.close()

    def call(self, data: bytes) -> bytes:
        """Send an encoded request over a new connection, like curl, and return the body of the response."""
        with closing(Line(self.port)) as line:
            return line.ask(data)

    def get(self, path: str) -> Any:
        return json.loads(self.ask(request("GET", path)))

    def post(self, path: str, body: object) -> Any:
        return json.loads(self.ask(request("POST", path, body)))

    def ask(self, data: bytes) -> bytes:
        """Send an encoded request and return the body of the response. Exit if its status is not 200."""
        self._socket.sendall(data)
        received = self._read(b"")
        while b"\r\n\r\n" not in received:
            received = self._read(received)
        head, _, body = received.partition(b"\r\n\r\n")
        found = _LENGTH.search(head)
        if found is None or not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"the server answered {head.decode()}")
        while len(body) < int(found[1]):
            body = self._read(body)
        return body

    def _read(self, before: bytes) -> bytes:
        chunk = self._socket.recv(256 * 1024)
        if not chunk:
            sys.exit("the server closed the connection")
        return before + chunk


def request(method: str, path: str, body: object = None) -> bytes:
    """Return an encoded request."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(data)}"]
    if data:
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode() + data


@contextmanager
def localrun_server(folder: Path, **settings: object) -> Iterator[Line]:
    """Run `python main.py` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = {f"LOCALRUN_{name.upper()}": str(value) for name, value in settings.items()}
    command = [str(PROJECT / "main.py"), "--port", "0", "--logs", str(folder / "logs")]
    with _served(command, folder, {**environment(folder), **variables}) as line:
        yield line


@contextmanager
def empty_server(folder: Path) -> Iterator[Line]:
    """Run FastAPI and uvicorn with empty routes."""
    with _served([str(Path(__file__).with_name("empty.py"))], folder, environment(folder)) as line:
        yield line


@contextmanager
def _served(command: list[str], folder: Path, environ: dict[str, str]) -> Iterator[Line]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environ, stdout=pipe, text=True
    ) as server:
        try:
            with closing(Line(_port(server))) as line:
                yield line
        finally:
            server.terminate()


def _port(server: subprocess.Popen[str]) -> int:
    assert server.stdout is not None
    for line in server.stdout:
        found = _PORT.search(line)
        if found:
            return int(found[1])
    sys.exit("a server did not start")
