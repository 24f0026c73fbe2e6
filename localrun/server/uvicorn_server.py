"""A server's life: it listens, answers, is told to stop, and stops in order."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from localrun.server.state import ServerState

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LAST_WORDS = 5.0  # seconds for answers that are under way when the server is told to stop


class Server(uvicorn.Server):
    """A uvicorn server that lets those go who wait and watch, and does not die of its signal."""

    def __init__(self, api: ASGIApp, site: ServerState) -> None:
        config = uvicorn.Config(
            api,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(_LAST_WORDS),
        )
        super().__init__(config)
        self._site = site

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """The first signal: no new requests; Ctrl+C once more: no waiting for old ones."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is open without an end of its own first, or it would hold the others up."""
        self._site.broadcaster.close()
        await super().shutdown(sockets)


def serve(api: ASGIApp, site: ServerState, sockets: Sequence[socket.socket]) -> None:
    """Serve until a signal says to stop, then end the tasks as the options say.

    A further signal while tasks are waited for kills them.
    """
    Server(api, site).run(sockets=list(sockets))
    with _hurried(site):
        site.app.manager.shutdown(on_exit=site.options.on_exit)


@contextmanager
def serve_in_thread(api: ASGIApp, site: ServerState, sockets: Sequence[socket.socket]) -> Iterator[None]:
    """Within it, a server answers in a thread of its own: for tests. The tasks are the caller's to end."""
    server = Server(api, site)
    thread = threading.Thread(target=server.run, kwargs={"sockets": list(sockets)}, name="server")
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def _hurried(site: ServerState) -> Iterator[None]:
    """Within it, a signal kills what is waited for."""
    threads: list[threading.Thread] = []

    def kill(_number: int, _frame: FrameType | None) -> None:
        thread = threading.Thread(target=lambda: site.app.manager.shutdown(0.0, on_exit="kill"), name="hurry")
        threads.append(thread)
        thread.start()

    before = {number: signal.signal(number, kill) for number in _SIGNALS}
    try:
        yield
        for thread in threads:
            thread.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
