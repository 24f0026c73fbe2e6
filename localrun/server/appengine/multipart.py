"""Multipart bodies, written to files while they arrive, in constant memory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from localrun import fs
from localrun.copying import DiskLimit
from localrun.server.appengine.errors import SERVER_ERROR, AppEngineError, not_multipart, server_error

_BUFFER = 1024**2  # bytes to collect before they are written
_MAX_PARTS = 100
_EXTENDED_NAME = re.compile(rb";\s*filename\*=", re.IGNORECASE)  # of names beyond ASCII


class FormPart(msgspec.Struct, frozen=True):
    """A part of a body: its field, its file name (None: it is not a file), and the path of its content."""

    name: str
    filename: str | None
    path: Path

    @property
    def is_file(self) -> bool:
        return self.filename is not None


def is_multipart(request: Request) -> bool:
    return _boundary(request) is not None


def _boundary(request: Request) -> bytes | None:
    kind, options = parse_options_header(request.headers.get("content-type"))
    return options.get(b"boundary") if kind.startswith(b"multipart/") else None


async def receive_parts(
    request: Request, folder: Path, *, disk_limit: float = 100.0, most: int = _MAX_PARTS
) -> list[FormPart]:
    """Write the first `most` parts of a body to new files in `folder`, named `0`, `1` and so on.

    A body that ends early is an error; further parts are read and dropped. The files do not fill the disk to
    more than `disk_limit` percent. Raises `AppEngineError`, and `LocalrunError` if the disk is full.
    """
    boundary = _boundary(request)
    if not boundary:
        raise not_multipart()
    run = anyio.to_thread.run_sync
    writer = _Writer(folder, DiskLimit(disk_limit), most)
    parser = MultipartParser(boundary, writer.callbacks())  # type: ignore[arg-type]
    buffer = bytearray()
    try:
        async for chunk in request.stream():
            buffer += chunk
            if len(buffer) >= _BUFFER:
                await run(writer.feed, parser, bytes(buffer))
                buffer.clear()
        await run(writer.feed, parser, bytes(buffer))
    except MultipartParseError as error:
        raise server_error(f"invalid multipart body: {error}") from error
    finally:
        writer.close()
    if not writer.is_complete:
        raise server_error("Stream ended unexpectedly")
    return writer.parts


class _Writer:
    """Writes the parts that a parser reports to files."""

    def __init__(self, folder: Path, limit: DiskLimit, most: int) -> None:
        self.parts: list[FormPart] = []
        self.is_complete = False
        self._folder = folder
        self._limit = limit
        self._most = most
        self._stream: FileIO | None = None
        self._field, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}

    def callbacks(self) -> dict[str, Callable[..., Any]]:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self.close,
            "on_end": self._on_end,
        }

    def feed(self, parser: MultipartParser, data: bytes) -> None:
        with fs.wrap_os_errors(self._folder):
            parser.write(data)

    def _on_header_end(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        if len(self.parts) >= self._most:
            return
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        filename = options.get(b"filename", b"" if _EXTENDED_NAME.search(disposition) else None)
        path = self._folder / str(len(self.parts))
        self._stream = path.open("xb", buffering=0)
        path.chmod(0o644)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        self.parts.append(
            FormPart(name, None if filename is None else filename.decode("utf-8", "replace"), path)
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._stream is None:
            return
        self._limit.use(self._stream.fileno(), end - start)
        fs.write_all(self._stream, memoryview(data)[start:end])

    def _on_end(self) -> None:
        self.is_complete = True

    def close(self) -> None:
        """End the current part, and store its content on the disk."""
        if self._stream is not None:
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._stream = None


def first_file(parts: list[FormPart]) -> FormPart:
    """Return the first part of an upload. Raises `AppEngineError` if there is none, or it is a field."""
    if not parts or not parts[0].is_file:
        raise AppEngineError(500, SERVER_ERROR, "Server error.")
    return parts[0]
