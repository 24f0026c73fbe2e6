"""Limit the time that requests may spend on reading untrusted bundles.

Bundles are read in threads, which cannot be cancelled from outside. They check the limit of their request,
which ends when its time is over, its client has disconnected, or the server shuts down.
"""

from __future__ import annotations

import asyncio
from functools import partial
from weakref import WeakSet

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localrun.bundle.cancellation import Limit, limited
from localrun.errors import BundleError, ShuttingDown

CHECK_SECONDS = 120.0  # for reading one bundle
_WATCH_AFTER = 0.05  # seconds; most requests end before, and a task for each would cost a tenth of their time


class RequestLimits:
    """The limits of the requests that are being handled."""

    def __init__(self, seconds: float = CHECK_SECONDS) -> None:
        self.seconds = seconds
        self._limits: WeakSet[Limit] = WeakSet()
        self._is_closed = False

    def add(self) -> Limit:
        limit = Limit(self.seconds, partial(_too_slow, self.seconds))
        self._limits.add(limit)
        if self._is_closed:
            limit.cancel(_shutting_down)
        return limit

    def close(self) -> None:
        """Cancel the work of all requests."""
        self._is_closed = True
        for limit in list(self._limits):
            limit.cancel(_shutting_down)


class RequestLimitMiddleware:
    """Applies a limit to each request, and cancels it when the client disconnects."""

    def __init__(self, app: ASGIApp, limits: RequestLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.add()
        watcher = _Watcher(receive, limit)
        try:
            with limited(limit):
                await self._app(scope, watcher.receive, send)
        finally:
            watcher.stop()


class _Watcher:
    """Waits for the client to disconnect if its request takes a while after the body has been received."""

    def __init__(self, receive: Receive, limit: Limit) -> None:
        self._receive = receive
        self._limit = limit
        self._timer: asyncio.TimerHandle | None = None
        self._next: asyncio.Task[Message] | None = None

    async def receive(self) -> Message:
        if self._timer is not None:
            return await asyncio.shield(self._watch())
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER, self._watch)
        return message

    def _watch(self) -> asyncio.Task[Message]:
        if self._next is None:
            self._next = asyncio.ensure_future(self._wait())
        return self._next

    async def _wait(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._limit.cancel(_disconnected)
        return message

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._next is not None:
            self._next.cancel()


def _too_slow(seconds: float) -> BundleError:
    return BundleError(
        f"reading the bundle took more than {seconds:g} s",
        remedy="run `localrun validate BUNDLE` to see what it contains",
    )


def _disconnected() -> BundleError:
    return BundleError("the client has disconnected", remedy="send the request again")


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("the server is shutting down", remedy="send the request again later")
