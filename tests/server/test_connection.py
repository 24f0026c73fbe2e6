"""Connections: the size of request heads, and the time that a client may take."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from localrun.server.config import ConnectionLimits, ServerOptions
from tests.support.server_client import ServerEnvironment, live, serve_environment

HOST = b"Host: localhost\r\n"
GET = b"GET /heartbeat HTTP/1.1\r\n" + HOST


@contextmanager
def served(folder: Path, **limits: Any) -> Iterator[tuple[ServerEnvironment, int]]:
    """Run a real server with these limits. Return its port."""
    with (
        serve_environment(folder, connections=ConnectionLimits(**limits)) as env,
        live(env.site) as address,
    ):
        yield env, int(address.rpartition(":")[2])


@contextmanager
def connection(port: int, data: bytes = b"") -> Iterator[socket.socket]:
    """Connect, and send bytes. The test fails if the server does not answer for 20 seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(data)
        yield sock


def read_all(sock: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    found = b""
    while data := sock.recv(65536):
        found += data
    return found


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def test_the_default_limits_are_those_of_the_documentation() -> None:
    limits = ServerOptions().connections
    assert (limits.head_size, limits.head_seconds, limits.body_seconds) == (32 * 1024, 60, 60)
    assert limits.keep_alive_seconds == 75
    assert ServerOptions().body_limit == 1024**2


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X: " + b"a" * 33_000 + b"\r\n\r\n",
        GET + b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(40)) + b"\r\n",
        GET + b"a: b\r\n" * 6000 + b"\r\n",
        GET + b"X: " + b"a" * 100_000,  # without an end
        b"POST /task HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 100_000,
    ],
)
def test_larger_headers_are_431(tmp_path: Path, head: bytes) -> None:
    with served(tmp_path) as (env, port), connection(port, head) as sock:
        answer = read_all(sock)
        assert status(answer) == 431
        assert b"The request headers are larger than 32 KiB" in answer
        assert [line["data"]["status"] for line in env.lines("request_rejected")] == [431]


def test_headers_below_the_limit_are_accepted(tmp_path: Path) -> None:
    with served(tmp_path) as (_, port):
        answer = requests.get(f"http://127.0.0.1:{port}/heartbeat", headers={"X": "a" * 31_000})
    assert answer.status_code == 200


def test_a_url_that_is_too_long_is_414(tmp_path: Path) -> None:
    head = b"GET /task/" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    with served(tmp_path) as (_, port), connection(port, head) as sock:
        assert status(read_all(sock)) == 414


def test_endless_headers_are_not_kept_in_memory(tmp_path: Path) -> None:
    # Given a client that sends 100 MiB of headers and does not read
    with served(tmp_path, linger_seconds=0.5) as (env, port), connection(port, GET + b"X: ") as sock:
        chunk = b"a" * 1024**2
        with suppress(OSError):  # the connection is reset, or the pipe is broken
            for _ in range(100_000):
                sock.sendall(chunk)
            pytest.fail("100 GiB of headers were read")
        # Then it was rejected, and the connection was closed
        assert [line["data"]["status"] for line in env.lines("request_rejected")] == [431]


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: local", b"GET /", GET])
def test_a_head_that_is_not_complete_in_time_is_408(tmp_path: Path, data: bytes) -> None:
    with served(tmp_path, head_seconds=0.2) as (_, port), connection(port, data) as sock:
        answer = read_all(sock)
    assert status(answer) == 408
    assert b"not complete after 0.2 seconds" in answer


def test_a_head_that_arrives_byte_by_byte_is_408(tmp_path: Path) -> None:
    with served(tmp_path, head_seconds=0.5) as (_, port), connection(port, GET) as sock:
        sock.settimeout(0.05)
        answer = b""
        for _ in range(400):
            try:
                answer = sock.recv(65536)
                break
            except TimeoutError:
                sock.sendall(b"a")
    assert status(answer) == 408


def test_a_connection_without_a_request_is_closed(tmp_path: Path) -> None:
    with served(tmp_path, head_seconds=0.2) as (_, port), connection(port) as sock:
        assert read_all(sock) == b""


def test_a_kept_connection_is_closed_after_some_time_without_a_request(tmp_path: Path) -> None:
    with served(tmp_path, keep_alive_seconds=0.2) as (_, port), connection(port, GET + b"\r\n") as sock:
        assert status(read_all(sock)) == 200


@pytest.mark.parametrize("path", [b"POST /task", b"POST /bundle"])
def test_a_body_that_stops_is_408(tmp_path: Path, path: bytes) -> None:
    head = path + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n{"
    with served(tmp_path, body_seconds=0.2) as (env, port), connection(port, head) as sock:
        answer = read_all(sock)
        assert status(answer) == 408
        assert b"Nothing of the request body arrived for 0.2 seconds" in answer
        assert env.lines("task_error") == []


def test_the_rest_of_a_rejected_body_has_a_time_limit(tmp_path: Path) -> None:
    head = b"PUT /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n{"
    with served(tmp_path, linger_seconds=0.2) as (_, port), connection(port, head) as sock:
        assert status(read_all(sock)) == 404  # and the end of the connection


def test_after_a_rejected_body_the_connection_is_usable_and_then_closed(tmp_path: Path) -> None:
    body = b"x" * 1000
    head = b"PUT /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n"
    with served(tmp_path, keep_alive_seconds=0.3) as (_, port), connection(port, head) as sock:
        assert status(sock.recv(65536)) == 404
        sock.sendall(body + GET + b"\r\n")
        assert b"HTTP/1.1 200 OK" in read_all(sock)


def test_stalled_uploads_do_not_block_others(tmp_path: Path) -> None:
    # Given more stalled uploads than there are threads
    with served(tmp_path) as (env, port), ExitStack() as stack:
        task_id = env.run(a=1)
        head = b"PUT /task/%s/inputs/b HTTP/1.1\r\n" % task_id.encode() + HOST
        for _ in range(100):
            stack.enter_context(connection(port, head + b"Content-Length: 1000\r\n\r\n1"))
        for _ in range(20):
            head = b"POST /bundle HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\nPK"
            stack.enter_context(connection(port, head))

        # Then other requests are answered
        address = f"http://127.0.0.1:{port}"
        assert requests.get(f"{address}/task/status", timeout=20).status_code == 200
        answer = requests.put(f"{address}/task/{task_id}/inputs/b", data=b"2", timeout=20)
        assert answer.status_code == 200


def test_a_client_that_goes_away_during_an_upload_is_not_an_error_of_the_server(tmp_path: Path) -> None:
    with served(tmp_path) as (env, port):
        task_id = env.run(a=1)
        head = b"PUT /task/%s/inputs/b HTTP/1.1\r\n" % task_id.encode() + HOST
        with connection(port, head + b"Content-Length: 1000\r\n\r\n1"):
            pass
        requests.get(f"http://127.0.0.1:{port}/task/status", timeout=20)
    assert env.lines("task_error") == []
    assert list(env.env.app.store.open(task_id).uploads.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET \r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"\x00" * 100,
        b"POST /task HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /task HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        b"POST /task HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_not_http_is_400(tmp_path: Path, data: bytes) -> None:
    with served(tmp_path) as (_, port), connection(port, data) as sock:
        answer = read_all(sock)
    assert status(answer) == 400
    assert b'"hint":"send HTTP/1.1' in answer


def test_an_upgrade_is_answered_as_http_1(tmp_path: Path) -> None:
    upgrade = b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    with served(tmp_path) as (_, port), connection(port, GET + upgrade) as sock:
        assert status(sock.recv(65536)) == 200


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    data = GET + b"\r\n" + b"GET /nope HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    with served(tmp_path) as (_, port), connection(port, data) as sock:
        answer = read_all(sock)
    assert answer.index(b"200 OK") < answer.index(b"404 Not Found")
