"""Servers, and a client that is as thin as can be: what is measured is the server, not the client."""

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
    """One connection, kept open, to a server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._socket.close()

    def call(self, asked: bytes) -> bytes:
        """The same over a connection of its own, as a command like curl makes it."""
        with closing(Line(self.port)) as line:
            return line.ask(asked)

    def get(self, path: str) -> Any:
        return json.loads(self.ask(request("GET", path)))

    def post(self, path: str, body: object) -> Any:
        return json.loads(self.ask(request("POST", path, body)))

    def ask(self, asked: bytes) -> bytes:
        """Send a request that was made before, and read its answer; any but a 200 is our failure."""
        self._socket.sendall(asked)
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
        more = self._socket.recv(256 * 1024)
        if not more:
            sys.exit("the server closed the connection")
        return before + more


def request(method: str, path: str, body: object = None) -> bytes:
    """The bytes of a request."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(data)}"]
    if data:
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode() + data


@contextmanager
def localrun_server(folder: Path, **settings: object) -> Iterator[Line]:
    """`python main.py` in a folder of its own, as it is started by people."""
    folder.mkdir(parents=True, exist_ok=True)
    given = {f"LOCALRUN_{name.upper()}": str(value) for name, value in settings.items()}
    command = [str(PROJECT / "main.py"), "--port", "0", "--logs", str(folder / "logs")]
    with _served(command, folder, {**environment(folder), **given}) as line:
        yield line


@contextmanager
def empty_server(folder: Path) -> Iterator[Line]:
    """FastAPI and uvicorn, with routes that do nothing."""
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
    for said in server.stdout:
        found = _PORT.search(said)
        if found:
            return int(found[1])
    sys.exit("a server did not start")
