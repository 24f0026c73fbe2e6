"""Runs the server with uvicorn and shuts it down in order."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from localrun.console.streams import print_err
from localrun.server.connection import LimitedProtocol
from localrun.server.shutdown import shutdown_notice
from localrun.server.state import ServerState

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHUTDOWN_TIMEOUT = 5  # seconds for open responses on shutdown


class Server(uvicorn.Server):
    """A uvicorn server that ends waiting requests on shutdown, and does not re-raise its signal."""

    def __init__(self, api: ASGIApp, state: ServerState, on_stop: Callable[[], None] = lambda: None) -> None:
        limits = state.options.connections
        protocol: Any = partial(LimitedProtocol, limits=limits, on_rejection=state.request_log.log_rejection)
        config = uvicorn.Config(
            api,
            http=protocol,
            ws="none",
            timeout_keep_alive=limits.keep_alive_seconds,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
        )
        super().__init__(config)
        self._state = state
        self._on_stop = on_stop
        self.is_hurried = False  # a second signal arrived

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop accepting requests on the first signal, and close open ones on a second Ctrl+C."""
        self.is_hurried = self.should_exit
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End endless responses and the reading of bundles first, because they would delay the shutdown."""
        self._on_stop()
        self._state.close()
        self._state.limits.close()
        await super().shutdown(sockets)


def serve(api: ASGIApp, state: ServerState, sockets: Sequence[socket.socket]) -> None:
    """Serve until a signal arrives, then handle running tasks according to `on_exit`, and print which.

    A second signal kills them without a grace period.
    """
    server = Server(api, state, on_stop=lambda: _print_notice(state))
    manager = state.app.manager
    with _kill_on_second_signal(state):
        server.run(sockets=list(sockets))
        is_hurried = server.is_hurried and state.options.on_exit != "leave"
        state.batches.close("kill" if is_hurried else state.options.on_exit, 0.0 if is_hurried else None)
        if is_hurried:
            manager.shutdown(0.0, on_exit="kill")
        else:
            manager.shutdown(on_exit=state.options.on_exit)


def _print_notice(state: ServerState) -> None:
    records = [task.record for task in state.app.manager.running_tasks()]
    for line in shutdown_notice(records, state.options.on_exit, state.app.settings.grace):
        print_err(line)
    if count := state.batches.running_count:
        noun = "unfinished batch" if count == 1 else "unfinished batches"
        print_err(f"{count} {noun} will continue with the next server of this folder")


@contextmanager
def serve_in_thread(api: ASGIApp, state: ServerState, sockets: Sequence[socket.socket]) -> Iterator[None]:
    """Run a server in a thread during the block, for tests. The caller ends the tasks."""
    server = Server(api, state)
    thread = threading.Thread(target=server.run, kwargs={"sockets": list(sockets)}, name="server")
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def _kill_on_second_signal(state: ServerState) -> Iterator[None]:
    """Kill the remaining tasks if a signal arrives during the block, and the server does not handle it."""
    threads: list[threading.Thread] = []

    def kill(_number: int, _frame: FrameType | None) -> None:
        if state.options.on_exit == "leave":  # nothing is waited for
            return
        shutdown = partial(state.app.manager.shutdown, 0.0, on_exit="kill")
        thread = threading.Thread(target=shutdown, name="shutdown")
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
