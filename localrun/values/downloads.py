"""Download files, in chunks of constant size, with a time limit for each of them.

Import this where it is needed: the modules of the standard library take a while.
"""

from __future__ import annotations

import hashlib
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from localrun import fs
from localrun.copying import DiskLimit
from localrun.values.urls import WEB, Url, mask_credentials

_TIMEOUT = 20.0  # seconds without data
_CHUNK = 1024 * 1024

OnProgress = Callable[[int, int | None], None]


class DownloadFailed(Exception):
    """A download failed; the argument is the reason, without credentials."""


def download(url: Url, path: Path, limit: DiskLimit, on_progress: OnProgress) -> str:
    """Download a file to a new path, which others may read, and return its SHA-256 in hexadecimal digits.

    `on_progress` is called with the bytes so far and their total, None if it is unknown; what it raises ends
    the download. Leaves no part of the file behind. Raises `DownloadFailed`, or `OSError` if it cannot be
    written.
    """
    hashed, done = hashlib.sha256(), 0
    sizes: list[int | None] = []
    on_progress(0, None)
    with fs.atomic_file(path) as temp:
        with temp.open("xb", buffering=0) as stream:
            for chunk in read_url(url.text, sizes.append):
                limit.use(stream.fileno(), len(chunk))
                fs.write_all(stream, chunk)
                hashed.update(chunk)
                done += len(chunk)
                on_progress(done, sizes[-1] if sizes else None)
        temp.chmod(0o644)
    return hashed.hexdigest()


def read_url(url: str, on_size: Callable[[int | None], object] = lambda _: None) -> Iterator[bytes]:
    """Yield the content of a URL in chunks; `on_size` is called with its size in bytes, None if unknown.

    Raises `DownloadFailed`, also if the content ends too early.
    """
    try:
        yield from _web(url, on_size) if Url(url).scheme in WEB else _timed(_fsspec(url, on_size))
    except HTTPError as error:
        error.close()  # it holds the connection
        reason = f"the server answered {error.code} {error.reason}"
        raise DownloadFailed(mask_credentials(reason, url)) from error
    except (OSError, HTTPException, ValueError) as error:
        found = getattr(error, "reason", error)
        reason = str(getattr(found, "strerror", None) or found) or type(error).__name__
        raise DownloadFailed(mask_credentials(reason, url)) from error


def _web(url: str, on_size: Callable[[int | None], object]) -> Iterator[bytes]:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    request = Request(parts._replace(netloc=host, fragment="").geturl())  # noqa: S310 - `WEB`
    if user:  # not sent to another host that the server redirects to
        encoded = b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {encoded}")
    with urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310 - http, https, and FTP by a redirect
        left = getattr(answer, "length", None)  # that of FTP is unknown
        on_size(left)
        # what has arrived, so that a slow download can be stopped
        while left != 0 and (data := answer.read1(_CHUNK if left is None else min(_CHUNK, left))):
            left = None if left is None else left - len(data)
            yield data
    if left:
        raise ValueError(f"the download ended {left} bytes too early")


def _fsspec(url: str, on_size: Callable[[int | None], object]) -> Iterator[bytes]:
    import fsspec  # type: ignore[import-untyped]

    files, path = fsspec.core.url_to_fs(url)
    found = files.info(path)
    if found.get("type") == "directory":
        raise ValueError("it is a folder")
    size, done = found.get("size"), 0
    on_size(size)
    with files.open(path, "rb") as stream:
        while data := stream.read(_CHUNK):
            done += len(data)
            yield data
    if size is not None and done < size:
        raise ValueError(f"the download ended {size - done} bytes too early")


def _timed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield chunks that other threads read, each of which may block for a limited time only."""
    while (chunk := _next(chunks)) is not None:
        yield chunk


def _next(chunks: Iterator[bytes]) -> bytes | None:
    found: Future[bytes | None] = Future()

    def read() -> None:
        try:
            found.set_result(next(chunks, None))
        except BaseException as error:  # noqa: BLE001 - raised again by the reader
            found.set_exception(error)

    threading.Thread(target=read, name="download", daemon=True).start()
    done, _ = wait([found], _TIMEOUT)
    if not done:
        raise TimeoutError(f"no data for {_TIMEOUT:g} s")
    error = found.exception()
    if isinstance(error, Exception) and not isinstance(error, (OSError, ValueError)):
        # each protocol has a library with errors of its own
        raise OSError(f"{type(error).__name__}: {error}") from error
    return found.result()
