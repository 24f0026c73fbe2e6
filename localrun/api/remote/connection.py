"""HTTP requests to a server, with constant memory for files of any size."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from localrun import fs
from localrun.errors import Cause, LocalrunError, UsageError

_CHUNK = 256 * 1024
_MOST_TEXT = 64 * 1024**2  # bytes of an answer that is kept in memory

Sent = Callable[[int, int], None]  # called with the bytes of a form that were sent, and with all


def _no_progress(_sent: int, _total: int) -> None: ...


@dataclass(frozen=True)
class FormFile:
    """A file of a form: the content, or the path of a file with it."""

    name: str
    filename: str
    content: bytes | Path

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content. Raises OSError, also if the file became shorter."""
        if isinstance(self.content, bytes):
            yield self.content
            return
        remaining = self.size
        with self.content.open("rb") as stream:
            while remaining:
                data = stream.read(min(_CHUNK, remaining))
                if not data:
                    raise OSError(f"{self.content} became shorter while it was sent")
                remaining -= len(data)
                yield data


@dataclass(frozen=True)
class Reply:
    """The answer of the server, with any status, its headers by lower-case name, and its body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body; None if it is not JSON."""
        with suppress(ValueError, RecursionError):
            return json.loads(self.body)
        return None


class ServerConnection:
    """Sends requests to paths below a URL. `timeout` is the longest silence of the server in seconds."""

    def __init__(self, url: str, token: str | None = None, timeout: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._parts = split_url(self.url)
        self._token = token
        self._timeout = timeout

    def request(self, method: str, path: str, content: Any = None, *, has_body: bool = False) -> Reply:
        """Send a request with `content` as JSON, if there is any, and read the whole answer."""
        body = json.dumps(content).encode() if content is not None or has_body else None
        kind = {"Content-Type": "application/json"} if body is not None else {}
        with self._open(method, path, body, kind) as found:
            return self._answer(found)

    def send_form(self, path: str, parts: Sequence[FormFile], progress: Sent = _no_progress) -> Reply:
        """Send files as `multipart/form-data`. The server may answer before it has all of them."""
        mark = secrets.token_hex(16)
        heads = [_head(mark, part) for part in parts]
        end = f"--{mark}--\r\n".encode()
        length = sum(len(head) + part.size + 2 for head, part in zip(heads, parts, strict=True)) + len(end)

        def body() -> Iterator[bytes]:
            sent = 0
            for head, part in zip(heads, parts, strict=True):
                yield head
                for data in part.chunks():
                    yield data
                    sent += len(data)
                    progress(sent, length)
                yield b"\r\n"
            yield end

        kind = {"Content-Type": f"multipart/form-data; boundary={mark}", "Content-Length": str(length)}
        with self._open("POST", path, body(), kind) as found:
            return self._answer(found)

    def download(self, path: str, target: Path) -> Reply:
        """Write the body of a successful answer to a file; keep that of another one as the answer's body."""
        with self._open("GET", path, None, {"Accept": "*/*"}) as found:
            if found.status != 200:
                return self._answer(found)
            with fs.wrap_os_errors(target), target.open("wb") as stream:
                while data := self._read(found, _CHUNK):
                    stream.write(data)
            if found.length:
                raise self._failed(f"the download of {path} ended {found.length} bytes too early")
            return Reply(found.status, _headers(found))

    @contextmanager
    def _open(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Iterator[HTTPResponse]:
        parts = self._parts
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.netloc, timeout=self._timeout)
        authorization = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        given = {"Accept": "application/json", **authorization, **headers}
        try:
            yield self._send(connection, method, f"{parts.path}/{path.lstrip('/')}", body, given)
        finally:
            connection.close()

    def _send(
        self, connection: HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> HTTPResponse:
        try:
            connection.connect()
        except OSError as error:
            raise self._failed(error) from error
        try:
            connection.request(method, path, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server refuses the body and may have said why
        except OSError as error:
            raise self._failed(error) from error
        try:
            return connection.getresponse()
        except (OSError, HTTPException) as error:
            raise self._failed(error) from error

    def _answer(self, found: HTTPResponse) -> Reply:
        return Reply(found.status, _headers(found), self._read(found, _MOST_TEXT))

    def _read(self, found: HTTPResponse, size: int) -> bytes:
        try:
            return found.read(size)
        except (OSError, HTTPException) as error:
            raise self._failed(error) from error

    def _failed(self, reason: object) -> LocalrunError:
        text = str(getattr(reason, "strerror", None) or reason or type(reason).__name__)
        return LocalrunError(
            f"cannot reach {self.url}: {text[:1].lower()}{text[1:]}",
            remedy="check the URL, and that the server runs: `curl URL/tasks`",
            cause=Cause.ENGINE_UNREACHABLE,
            url=self.url,
        )


def split_url(url: str) -> SplitResult:
    """Split the URL of a server. Raises `UsageError` if it is invalid."""
    try:
        found = urlsplit(url)
        is_valid = found.scheme in ("http", "https") and bool(found.hostname) and (found.port or 1) > 0
    except ValueError:
        is_valid = False
    if not is_valid or found.query or found.fragment or found.username:
        raise UsageError(f"invalid URL {url!r}", remedy="use e.g. http://localhost:8000")
    return found


def _head(mark: str, part: FormFile) -> bytes:
    name = part.filename.replace("\\", "\\\\").replace('"', '\\"')
    lines = (
        f"--{mark}",
        f'Content-Disposition: form-data; name="{part.name}"; filename="{name}"',
        "Content-Type: application/octet-stream",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _headers(found: HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in found.getheaders()}
