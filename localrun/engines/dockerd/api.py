"""Calls to the engine's HTTP API: version, query, body and errors."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from localrun.engines.dockerd import failures
from localrun.engines.dockerd.http import Body
from localrun.engines.dockerd.transport import Response, Transport
from localrun.errors import Cause, EngineError, EngineUnreachable

# The API versions that this code was written for. An older engine is called with its own newest version, a
# newer one with this one, or with its own oldest version if that is newer (Docker 29 supports 1.44 and up).
MIN_VERSION, MAX_VERSION = (1, 40), (1, 51)
Query = Mapping[str, Any] | None
Headers = Mapping[str, str] | None

# the answer of Go, and of nginx, to a request without TLS on a port with it
_HTTP_TO_TLS = re.compile(r"HTTP request (?:to an HTTPS server|was sent to HTTPS port)")
_JSON = {"Content-Type": "application/json"}
_LONGEST_LINE = 16 << 20  # bytes
_NO_BODY = {"Content-Length": "0"}


class Api:
    """The engine's HTTP API over one transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._version = ""
        self._is_libpod = False

    def json(self, method: str, path: str, query: Query = None, *, action: str) -> Any:
        """Make a call without a body and return the JSON response."""
        return parse_json(self.bytes(method, path, query, action=action), action)

    def bytes(
        self, method: str, path: str, query: Query = None, *, action: str, allowed: Collection[int] = ()
    ) -> bytes:
        """Make a call without a body and return the response."""
        return b"".join(self.open(method, path, query, action=action, allowed=allowed).chunks())

    def post(self, path: str, body: Any, query: Query = None, *, action: str) -> Any:
        """Post a JSON body and return the JSON response."""
        data = json.dumps(body).encode()
        response = self.open("POST", path, query, body=data, headers=_JSON, action=action)
        return parse_json(b"".join(response.chunks()), action)

    def open(
        self,
        method: str,
        path: str,
        query: Query = None,
        *,
        action: str,
        body: Body = None,
        headers: Headers = None,
        allowed: Collection[int] = (),
    ) -> Response:
        """Make a call and return the response as a stream.

        Raises the error of a status other than success and 304 unless it is `allowed`. `action` completes
        "cannot ..." in the error's message.
        """
        response = self.send(method, path, query, body=body, headers=headers)
        if not _is_success(response.status) and response.status not in allowed:
            raise failures.api_error(response.status, read_message(response), action)
        return response

    def send(
        self, method: str, path: str, query: Query = None, *, body: Body = None, headers: Headers = None
    ) -> Response:
        """Make a call and return the response with any status."""
        target = f"/v{self.version()}{path}"
        if query:
            target += "?" + urlencode(query)
        if headers is None and body is None:
            headers = {} if method == "GET" else _NO_BODY
        return self.transport.request(method, target, body, headers or {})

    def version(self) -> str:
        """Return the newest API version that both sides support; queried once."""
        if not self._version:
            response = self._first_response()
            reason = read_message(response)
            if response.status == 400 and _HTTP_TO_TLS.search(reason):
                from localrun.engines.dockerd.tls import expects_tls

                raise expects_tls(self.transport.address)
            self._is_libpod = bool(response.header("Libpod-Api-Version"))
            newest = _parse_version(response.header("Api-Version"))
            if newest is None:
                reason = reason or "it reported no API version"
                raise failures.api_error(response.status, reason, "get the engine's API version")
            self._version = "{}.{}".format(*self._common_version(newest))
        return self._version

    def _common_version(self, newest: tuple[int, int]) -> tuple[int, int]:
        """Return the version to use. Raises `EngineError` if the engine is too old."""
        if newest < MIN_VERSION:
            message = "the engine is too old: its API version is {}.{}, localrun needs {}.{} or newer"
            remedy = "update the engine: Docker 20.10 or newer, or Podman 4.3 or newer"
            raise EngineError(message.format(*newest, *MIN_VERSION), remedy=remedy)
        if newest <= MAX_VERSION:
            return newest
        response = self.transport.request("GET", "/version", None, {})
        text = b"".join(response.chunks())
        try:
            oldest = _parse_version(str(json.loads(text)["MinAPIVersion"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            oldest = None
        return max(MAX_VERSION, oldest or MAX_VERSION)

    def _first_response(self) -> Response:
        """Return the response to a ping, or the likely reason if a TCP port closes the connection instead."""
        try:
            return self.transport.request("GET", "/_ping", None, {})
        except EngineUnreachable as error:
            address = self.transport.address
            if error.cause is not Cause.ENGINE_LOST or address.scheme in ("unix", "ssh"):
                raise
            from localrun.engines.dockerd.tls import closed_at_once

            raise closed_at_once(address) from error

    def is_older_than(self, version: tuple[int, int]) -> bool:
        """Return whether the engine does not support this API version."""
        major, minor = self.version().split(".")
        return (int(major), int(minor)) < version

    def is_libpod(self) -> bool:
        """Return whether the engine is Podman, which behaves differently in some calls."""
        return bool(self.version()) and self._is_libpod


def _parse_version(text: str) -> tuple[int, int] | None:
    if not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", text):
        return None
    major, minor = text.split(".")
    return int(major), int(minor)


def read_message(response: Response) -> str:
    """Read a response to its end and return the engine's message."""
    text = b"".join(response.chunks())
    try:
        return str(json.loads(text)["message"]).strip()
    except (ValueError, KeyError, TypeError, RecursionError):
        return text.decode(errors="replace").strip()[: failures.MOST_QUOTED]  # perhaps a page of HTML


def parse_json(text: bytes, action: str) -> Any:
    """Parse JSON. Raises `EngineError` if it is invalid."""
    with failures.reading(action):
        return json.loads(text)


def iter_json(response: Response, action: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a streamed response, which are separated by line breaks.

    Raises `EngineError` for anything else. `action` completes "cannot ..." in its message.
    """
    rest = b""
    for chunk in response.chunks():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise failures.invalid_answer(action, f"a line of more than {_LONGEST_LINE} bytes")
        yield from (_json_object(line, action) for line in lines if line.strip())
    if rest.strip():
        yield _json_object(rest, action)


def _json_object(text: bytes, action: str) -> dict[str, Any]:
    found = parse_json(text, action)
    if not isinstance(found, dict):
        raise failures.invalid_answer(action, f"expected an object, got {text.decode(errors='replace')}")
    return found


def _is_success(status: int) -> bool:
    return 200 <= status < 300 or status == 304  # 304: already started or stopped


def label_filter(labels: Mapping[str, str]) -> dict[str, str]:
    """Return a query for objects with all these labels; "" matches any value."""
    wanted = [f"{name}={value}" if value else name for name, value in labels.items()]
    return {"filters": json.dumps({"label": wanted})} if wanted else {}  # Podman 4 refuses an empty filter


def quote_segment(text: str) -> str:
    """Quote a name as part of a URL path; `..` cannot change the path."""
    return quote(text, safe="/:@") if ".." not in text else quote(text, safe="").replace(".", "%2E")
