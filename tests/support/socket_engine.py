"""A Docker or Podman engine that gives recorded answers over a unix socket."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Answer = Callable[[str, str], bytes]

PING = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"
PODMAN_PING = PING.replace(b"Content-Length", b"Libpod-Api-Version: 4.3.1\r\nContent-Length")


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode("latin-1") + body


class SocketEngine:
    """A unix socket that answers each request with the bytes of a function; b"" closes the connection."""

    def __init__(self, path: Path, answer: Answer, ping: bytes = PING) -> None:
        self.requests: list[tuple[str, str]] = []
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self.ping = ping
        self._listener.listen(16)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(60)
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = connection.recv(65536)
                    if not more:
                        return
                    data += more
                head, data = data.split(b"\r\n\r\n", 1)
                length = re.search(rb"Content-Length: (\d+)", head)
                wanted = int(length[1]) if length else 0
                while len(data) < wanted or (b"chunked" in head and not data.endswith(b"0\r\n\r\n")):
                    data += connection.recv(65536)
                data = b"" if b"chunked" in head else data[wanted:]
                method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
                path = re.sub(r"^/v[\d.]+", "", target)
                self.requests.append((method, path))
                reply = self.ping if path == "/_ping" else self._answer(method, path)
                connection.sendall(reply)
                is_whole = b"\r\n\r\n" in reply and b"Content-Length: 99999" not in reply
                if not is_whole or not reply.startswith(b"HTTP/1.1 2"):
                    return

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
