from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from localrun.engines.dockerd.http import BrokenResponse, HttpResponse, send_request

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(60)
        theirs.settimeout(60)
        yield ours, theirs


def answered(pair: Pair, said: bytes, *, hangs_up: bool = False) -> HttpResponse:
    """Return the response that `said` is parsed as."""
    ours, theirs = pair
    theirs.sendall(said)
    if hangs_up:
        theirs.shutdown(socket.SHUT_WR)
    return HttpResponse(ours)


def body_of(answer: HttpResponse) -> bytes:
    return b"".join(iter(answer.read, b""))


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            200,
            b"abcd",
        ),
        (b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", 201, b"ok"),
    ],
    ids=["of a known length", "in chunks", "nothing", "not changed", "after a word on the way"],
)
def test_an_answer_is_read_to_its_end_and_its_connection_can_be_used_again(
    pair: Pair, said: bytes, status: int, body: bytes
) -> None:
    answer = answered(pair, said)
    assert (answer.status, body_of(answer)) == (status, body)
    assert (answer.is_complete, answer.keep_alive) == (True, True)


def test_an_answer_of_no_known_length_ends_with_its_connection(pair: Pair) -> None:
    answer = answered(pair, b"HTTP/1.1 200 OK\r\n\r\nall of it", hangs_up=True)
    assert (body_of(answer), answer.is_complete, answer.keep_alive) == (b"all of it", True, False)


def test_a_connection_that_shall_be_closed_is_not_used_again(pair: Pair) -> None:
    answer = answered(pair, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    assert (body_of(answer), answer.keep_alive) == (b"ok", False)


def test_an_unexpected_second_response_makes_the_connection_unusable(pair: Pair) -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    answer = answered(pair, ok + ok)
    assert (body_of(answer), answer.keep_alive) == (b"ok", False)


def test_the_headers_are_found_whatever_their_case(pair: Pair) -> None:
    answer = answered(pair, b"HTTP/1.1 204 No Content\r\nAPI-Version: 1.41\r\n\r\n")
    assert (answer.header("api-version"), answer.header("Api-Version"), answer.header("other")) == (
        "1.41",
        "1.41",
        "",
    )


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nabc",
    ],
    ids=["nothing", "half a head", "another protocol", "an unrequested protocol"],
)
def test_an_invalid_response_is_broken(pair: Pair, said: bytes) -> None:
    with pytest.raises(BrokenResponse):
        answered(pair, said, hangs_up=True)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nno length",
    ],
    ids=["too short", "in the middle of a chunk", "no chunk"],
)
def test_an_incomplete_response_is_broken(pair: Pair, said: bytes) -> None:
    with pytest.raises(BrokenResponse):
        body_of(answered(pair, said, hangs_up=True))


def test_a_request_has_a_host_and_a_length(pair: Pair) -> None:
    ours, theirs = pair
    send_request(ours, "box:2375", "POST", "/x?a=1", body=b"{}", headers={"Content-Type": "application/json"})
    head, _, body = theirs.recv(1000).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /x?a=1 HTTP/1.1",
        b"Host: box:2375",
        b"Content-Type: application/json",
        b"Content-Length: 2",
    ]
    assert body == b"{}"


def test_what_has_no_length_is_sent_in_chunks_and_an_empty_part_does_not_end_it(pair: Pair) -> None:
    ours, theirs = pair
    send_request(ours, "x", "PUT", "/", body=iter([b"abc", b"", b"d" * 17]), headers={})
    assert theirs.recv(1000).partition(b"\r\n\r\n")[2] == (
        b"3\r\nabc\r\n11\r\n" + b"d" * 17 + b"\r\n0\r\n\r\n"
    )


def test_a_line_of_a_request_cannot_be_two(pair: Pair) -> None:
    ours, theirs = pair
    with pytest.raises(ValueError, match="line break"):
        send_request(ours, "x", "GET", "/ HTTP/1.1\r\nHost: other", body=None, headers={})
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
