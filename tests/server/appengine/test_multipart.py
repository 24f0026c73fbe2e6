"""Multipart bodies: parts go to files while they arrive, whatever the pieces of the body are."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from localrun import copying
from localrun.errors import Cause, LocalrunError
from localrun.server.appengine.errors import AppEngineError
from localrun.server.appengine.multipart import FormPart, first_file, receive_parts

MEBIBYTE = 1024**2
HEAD = b'--b\r\nContent-Disposition: form-data; name="task"; filename="x"\r\n\r\n'
END = b"\r\n--b--\r\n"


def request_of(pieces: Iterator[bytes], content_type: str = "multipart/form-data; boundary=b") -> Request:
    async def receive() -> Message:
        piece = next(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    headers = [(b"content-type", content_type.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def received(folder: Path, *pieces: bytes, **options: int) -> list[FormPart]:
    return asyncio.run(receive_parts(request_of(iter(pieces)), folder, **options))


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_body_in_pieces_of_any_size_gives_the_same_parts(tmp_path: Path, size: int) -> None:
    content = b"\r\n--b\r\r\n--" * 3 + bytes(range(256))
    field = b'\r\n--b\r\nContent-Disposition: form-data; name="location"\r\n\r\ntext'
    body = HEAD + content + field + END
    parts = received(tmp_path, *(body[at : at + size] for at in range(0, len(body), size)))
    assert [(part.name, part.filename, part.is_file) for part in parts] == [
        ("task", "x", True),
        ("location", None, False),
    ]
    assert [part.path.read_bytes() for part in parts] == [content, b"text"]
    assert first_file(parts) is parts[0]


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ("form-data; name=task; filename=x.zip", "task", "x.zip"),
        ('form-data; name="t\\"k"; filename=""', 't"k', ""),
        ('FORM-DATA; NAME="a"; FILENAME="ä.png"', "a", "ä.png"),
        ("form-data; name=a; filename*=utf-8''%C3%A4.png", "a", ""),
        ("form-data", "", None),
    ],
)
def test_the_names_of_a_part_are_read(
    tmp_path: Path, disposition: str, name: str, filename: str | None
) -> None:
    head = f"--b\r\ncontent-disposition: {disposition}\r\nContent-Type: text/plain\r\n\r\n".encode()
    (part,) = received(tmp_path, head + b"1" + END)
    assert (part.name, part.filename) == (name, filename)


def test_no_more_parts_are_kept_than_wanted(tmp_path: Path) -> None:
    body = b"".join(HEAD + bytes([65 + number]) + b"\r\n" for number in range(5)) + b"--b--\r\n"
    parts = received(tmp_path, body, most=2)
    assert [part.path.read_bytes() for part in parts] == [b"A", b"B"]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_large_part_needs_little_memory(tmp_path: Path) -> None:
    piece, count = bytes(64 * 1024), 1024
    tracemalloc.start()
    try:
        pieces = (HEAD, *(piece for _ in range(count)), END)
        (part,) = received(tmp_path, *pieces)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert part.path.stat().st_size == count * len(piece)
    assert peak < 8 * MEBIBYTE


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "multipart/form-data", "multipart/form-data; boundary=", "", "multipart"],
)
def test_a_body_without_a_boundary_is_not_multipart(tmp_path: Path, content_type: str) -> None:
    with pytest.raises(AppEngineError, match="payload is not multipart"):
        asyncio.run(receive_parts(request_of(iter([b"x"]), content_type), tmp_path))


@pytest.mark.parametrize("boundary", ["b" * 100, '"b c"', "b\x00"])
def test_an_unusual_boundary_is_no_fault_of_the_server(tmp_path: Path, boundary: str) -> None:
    kind = f"multipart/form-data; boundary={boundary}"
    with pytest.raises(AppEngineError) as caught:
        asyncio.run(receive_parts(request_of(iter([b"--x\r\n"]), kind), tmp_path))
    assert caught.value.code == "APPE-internal-server-error"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        HEAD,
        HEAD + b"PK",
        HEAD + b"PK\r\n--b",
        b"--b\r\n" + b"a" * 10_000 + b": b\r\n\r\n" + END,
        b"--b\r\n" + b"a: b\r\n" * 1000 + b"\r\n" + END,
        b"--b\r\nContent-Disposition\r\n\r\nx" + END,
    ],
)
def test_a_malformed_or_truncated_body_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(AppEngineError) as caught:
        received(tmp_path, body)
    assert (caught.value.status_code, caught.value.code) == (500, "APPE-internal-server-error")


def test_a_full_disk_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_ALLOWANCE", 0)
    with pytest.raises(LocalrunError) as caught:
        asyncio.run(receive_parts(request_of(iter([HEAD + b"x" + END])), tmp_path, disk_limit=0.0))
    assert caught.value.cause is Cause.DISK_FULL


def test_an_upload_without_a_file_first_is_refused(tmp_path: Path) -> None:
    for parts in ([], [FormPart("a", None, tmp_path)]):
        with pytest.raises(AppEngineError) as caught:
            first_file(parts)
        assert caught.value.content["details"] == {"type": "empty"}
