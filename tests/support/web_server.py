"""A local web server that answers `hello` with the status at the end of the URL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Answers(BaseHTTPRequestHandler):
    """Sends five bytes; with status 206 it announces nine."""

    def do_GET(self) -> None:
        code = int(self.path.rpartition("/")[2])
        self.send_response(code)
        self.send_header("Content-Length", "9" if code == 206 else "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Do not log."""


@contextmanager
def website() -> Iterator[str]:
    """Run the server. Return its URL."""
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
