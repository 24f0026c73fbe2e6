"""Downloads of outputs, which the task may have replaced by links to other files."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from localrun.server.ranges import parse_range
from localrun.values.untrusted import UnsafePath, UntrustedDir

_CHUNK = 256 * 1024


def open_output(folder: Path, name: str, inside: str = "/") -> BinaryIO | list[str] | None:
    """Open the regular file `name` below `folder`, or return the names in the folder `name`.

    `inside` is the path of `folder` in the container: links are followed as they were there. None if nothing
    has that name. Raises `UnsafePath` for links out of the folder, pipes and devices.
    """
    parts = tuple(name.split("/"))
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        return None
    try:
        with UntrustedDir(folder, inside) as tree:
            entry = tree.find(parts)
            if entry is None:
                return None
            if entry.kind == "folder":
                return sorted(tree.list_names(entry))
            if entry.kind != "file":
                raise UnsafePath(f"expected a file or a folder, got a {entry.kind}")
            return tree.open(entry)
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class FileDownload:
    """The response to a download: a whole file or a range of it."""

    stream: BinaryIO
    status: int
    headers: dict[str, str]
    start: int
    size: int

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content, but not more bytes than the headers announce."""
        left = self.size
        self.stream.seek(self.start)
        while left and (data := await anyio.to_thread.run_sync(self.stream.read, min(_CHUNK, left))):
            left -= len(data)
            yield data

    def response(self) -> Response:
        """Return the response that sends the file, and closes it also if the client does not read all."""
        return _ClosingResponse(self)


class _ClosingResponse(StreamingResponse):
    def __init__(self, sent: FileDownload) -> None:
        super().__init__(sent.chunks(), sent.status, sent.headers, "application/octet-stream")
        self._file = sent.stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


def prepare_download(
    stream: BinaryIO, name: str, range_header: str | None = None, if_range: str | None = None
) -> FileDownload:
    """Return the response to a download by its Range and If-Range headers.

    A file that If-Range does not match is sent whole. Closes the stream if it raises `HTTPException`.
    """
    status = os.fstat(stream.fileno())
    tag, changed = f'"{status.st_mtime_ns:x}-{status.st_size:x}"', formatdate(status.st_mtime, usegmt=True)
    try:
        same = if_range in (None, tag, changed)
        found = parse_range(range_header if same else None, status.st_size)
    except HTTPException:
        stream.close()
        raise
    size = found.size if found else status.st_size
    headers = {
        **download_headers(name),
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Last-Modified": changed,
        "Content-Length": str(size),
    }
    if found is None:
        return FileDownload(stream, 200, headers, 0, size)
    return FileDownload(stream, 206, {**headers, "Content-Range": found.content_range}, found.start, size)


def download_headers(name: str) -> dict[str, str]:
    """Return headers that make browsers save the file and never display it as a page of this server."""
    plain = quote(name.rpartition("/")[2], safe="")
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{plain}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
