"""The guard of attached connections, with real sockets and its child process."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator

import pytest

from localrun.engines.dockerd import guard_process
from localrun.engines.dockerd.guard import Guard


@pytest.fixture
def guard() -> Iterator[Guard]:
    made = Guard()
    yield made
    made.close()


def is_hung_up(writer: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(writer, select.POLLHUP)
    return bool(poll.poll(seconds * 1000))


def test_a_connection_that_is_not_read_is_shut_down(guard: Guard) -> None:
    reader, writer = socket.socketpair()
    with reader, writer:
        watch = guard.watch(reader.fileno())
        writer.send(b"output")
        assert is_hung_up(writer, 30)
        with pytest.raises(BrokenPipeError):
            writer.send(b"more")
        assert reader.recv(100) == b"output"  # what has arrived can still be read
        assert watch.was_cut
        watch.close()


def test_a_connection_without_data_is_kept(guard: Guard) -> None:
    reader, writer = socket.socketpair()
    with reader, writer:
        watch = guard.watch(reader.fileno())
        assert not is_hung_up(writer, 0.1)
        assert not watch.was_cut
        watch.close()


def test_the_child_ends_with_its_owner(guard: Guard) -> None:
    reader, writer = socket.socketpair()
    with writer:
        with reader:
            watch = guard.watch(reader.fileno())
        guard.close()
        assert is_hung_up(writer, 30)  # the child's copy was the last one
        watch.close()


def test_a_killed_child_is_replaced(guard: Guard) -> None:
    for _ in range(2):
        reader, writer = socket.socketpair()
        with reader, writer:
            watch = guard.watch(reader.fileno())
            writer.send(b"output")
            assert is_hung_up(writer, 30)
            watch.close()
        assert guard._process is not None
        guard._process.kill()
        guard._process.wait()


def test_progress_resets_the_deadline() -> None:
    reader, writer = socket.socketpair()
    line, other = socket.socketpair()
    watched = guard_process._Watched(os.dup(reader.fileno()), os.dup(other.fileno()))
    with reader, writer, line, other:
        writer.send(b"output")
        now = time.monotonic()
        watched.on_data(now)
        line.send(b".")
        assert watched.on_line()
        assert not watched.deadline
        # data that was there when the deadline passed may have just arrived: one more period
        watched.on_data(now)
        assert watched.on_deadline(now)
        assert not watched.on_deadline(now)
        line.close()
    watched.close()


def test_a_finished_reader_is_forgotten() -> None:
    reader, writer = socket.socketpair()
    line, other = socket.socketpair()
    watched = guard_process._Watched(os.dup(reader.fileno()), os.dup(other.fileno()))
    with reader, writer, other:
        line.close()
        assert not watched.on_line()
    watched.close()
