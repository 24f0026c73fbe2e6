"""Work on untrusted bundles ends with its request: by time, when the client goes, and on shutdown."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from starlette.types import Message, Receive, Scope, Send

from localrun.bundle.cancellation import check
from localrun.errors import BundleError, LocalrunError, ShuttingDown
from localrun.server.request_limits import RequestLimitMiddleware, RequestLimits
from tests.support.bundles import bundle
from tests.support.server_client import serve_environment

Client = Callable[[threading.Event, "asyncio.Queue[Message]", RequestLimits], Coroutine[Any, Any, None]]


def handle(limits: RequestLimits, client: Client) -> LocalrunError:
    """Handle a request whose work never ends. Return the error that ends it; `client` runs meanwhile."""
    started = threading.Event()

    def work() -> None:
        while True:
            check()
            started.set()

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await anyio.to_thread.run_sync(work)

    async def main() -> None:
        messages: asyncio.Queue[Message] = asyncio.Queue()
        messages.put_nowait({"type": "http.request", "body": b"a", "more_body": True})
        messages.put_nowait({"type": "http.request", "body": b"b", "more_body": False})

        async def send(_message: Message) -> None: ...

        request = RequestLimitMiddleware(app, limits)({"type": "http"}, messages.get, send)
        await asyncio.wait_for(asyncio.gather(request, client(started, messages, limits)), 60)

    with pytest.raises(LocalrunError) as caught:
        asyncio.run(main())
    return caught.value


async def until(started: threading.Event) -> None:
    while not started.is_set():
        await asyncio.sleep(0.01)


def test_work_ends_when_the_client_disconnects() -> None:
    async def leave(started: threading.Event, messages: asyncio.Queue[Message], _: RequestLimits) -> None:
        await until(started)
        messages.put_nowait({"type": "http.disconnect"})

    assert "the client has disconnected" in str(handle(RequestLimits(), leave))


def test_work_ends_when_the_server_shuts_down() -> None:
    async def close(started: threading.Event, _: asyncio.Queue[Message], limits: RequestLimits) -> None:
        await until(started)
        limits.close()

    assert isinstance(handle(RequestLimits(), close), ShuttingDown)


def test_work_of_a_request_that_arrives_during_the_shutdown_ends_at_once() -> None:
    async def stay(_: threading.Event, _messages: asyncio.Queue[Message], _limits: RequestLimits) -> None: ...

    limits = RequestLimits()
    limits.close()
    assert isinstance(handle(limits, stay), ShuttingDown)


def test_work_ends_when_its_time_is_over() -> None:
    async def stay(_: threading.Event, _messages: asyncio.Queue[Message], _limits: RequestLimits) -> None: ...

    found = handle(RequestLimits(0.05), stay)
    assert isinstance(found, BundleError)
    assert "took more than 0.05 s" in str(found)


@pytest.mark.parametrize("route", ["upload", "task"])
def test_a_bundle_that_takes_too_long_to_read_is_refused(tmp_path: Path, route: str) -> None:
    path = bundle(tmp_path)
    (tmp_path / "site").mkdir()
    with serve_environment(tmp_path / "site", bundles=(tmp_path,)) as served:
        served.site.limits.seconds = 0.0
        if route == "upload":
            response = served.client.post("/bundle", content=path.read_bytes())
        else:
            task = {"bundle": path.name, "inputs": {"a": 1, "b": 2}}
            response = served.client.post("/task", json={"task": task, "assigned_by": "ray"})
        assert response.status_code == 422
        assert "took more than 0 s" in response.text


def test_the_time_of_each_request_is_its_own(tmp_path: Path) -> None:
    data = bundle(tmp_path).read_bytes()
    with serve_environment(tmp_path) as served:
        served.site.limits.seconds = 0.0
        assert served.client.post("/bundle", content=data).status_code == 422
        served.site.limits.seconds = 60.0
        assert served.client.post("/bundle", content=data).status_code == 200


def test_a_short_request_is_not_watched() -> None:
    received = 0

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()

    async def receive() -> Message:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None: ...

    async def main() -> None:
        before = len(asyncio.all_tasks())
        await RequestLimitMiddleware(app, RequestLimits())({"type": "http"}, receive, send)
        assert len(asyncio.all_tasks()) == before

    asyncio.run(main())
    assert received == 1
