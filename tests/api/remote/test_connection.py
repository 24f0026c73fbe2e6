"""Requests use constant memory, and every failure is one error with the URL."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from localrun.api.remote.connection import FormFile, ServerConnection
from localrun.errors import LocalrunError

MIB = 1024**2
ANSWER = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s"


@contextmanager
def answering(answer: bytes, *, reads: int | None = None) -> Iterator[tuple[str, list[int]]]:
    """Serve one connection: read `reads` bytes (None: all of a form), then answer and close."""
    received = [0]

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            end = b""
            while reads is None or received[0] < reads:
                data = connection.recv(64 * 1024)
                received[0] += len(data)
                end = (end + data)[-64:]
                if not data or (reads is None and end.endswith(b"--\r\n")):
                    break
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/app-engine/v1", received
        thread.join()


def test_a_large_file_is_sent_in_constant_memory_with_its_length(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(64 * MIB)
    steps: list[tuple[int, int]] = []
    with answering(ANSWER % (b"200 OK", 2, b"{}")) as (url, received):
        tracemalloc.start()
        try:
            form = [FormFile("task", "b.zip", large)]
            answer = ServerConnection(url).send_form("tasks", form, lambda *step: steps.append(step))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (answer.status, answer.json()) == (200, {})
    assert peak < 8 * MIB
    assert received[0] > 64 * MIB
    assert steps[-1][0] == 64 * MIB
    assert steps[-1][1] > 64 * MIB


def test_a_refusal_while_a_file_is_sent_is_the_answer(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(32 * MIB)
    refusal = ANSWER % (b"413 Too Large", 2, b"no")
    # the reset of the connection may discard the answer
    with answering(refusal, reads=1000) as (url, _), suppress(LocalrunError):
        answer = ServerConnection(url).send_form("tasks", [FormFile("task", "b.zip", large)])
        assert answer.status == 413


@pytest.mark.parametrize(
    "answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"]
)
def test_an_answer_that_breaks_off_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with answering(answer, reads=1) as (url, _), pytest.raises(LocalrunError) as raised:
        ServerConnection(url).download("task-runs/1/output/a", tmp_path / "a")
    assert raised.value.message.startswith(f"cannot reach {url}: ")
