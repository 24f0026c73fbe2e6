"""Uploads: a request body is written to a file while it arrives, and then processed as a file."""

from __future__ import annotations

import errno
from io import FileIO
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request

from localrun.copying import DiskLimit
from localrun.errors import Cause, LocalrunError
from localrun.fs import write_all

_BUFFER = 1024**2  # bytes to collect before they are written


async def receive(request: Request, path: Path, disk_limit: float = 100.0) -> None:
    """Write the body of a request to the new file `path`, readable for any user.

    A thread is only used while bytes are written, so clients that send slowly do not block others. Raises
    `LocalrunError` if the disk is full, or would be fuller than `disk_limit` percent.
    """
    run = anyio.to_thread.run_sync
    try:
        with path.open("xb", buffering=0) as stream:
            path.chmod(0o644)
            limit, buffer = DiskLimit(disk_limit), bytearray()
            async for chunk in request.stream():
                buffer += chunk
                if len(buffer) >= _BUFFER:
                    await run(_write, stream, bytes(buffer), limit)
                    buffer.clear()
            await run(_write, stream, bytes(buffer), limit)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise LocalrunError(
            f"cannot store the upload: {error.strerror}",
            remedy="free some disk space" if is_full else "make the task folder writable",
            cause=Cause.DISK_FULL if is_full else Cause.INTERNAL,
        ) from error


def _write(stream: FileIO, data: bytes, limit: DiskLimit) -> None:
    limit.use(stream.fileno(), len(data))
    write_all(stream, data)
