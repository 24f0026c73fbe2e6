"""One call to the engine: its version, its query, its body, and what its refusal means."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from localrun.engines.dockerd import failures
from localrun.engines.dockerd.http import Body
from localrun.engines.dockerd.transport import Response, Transport
from localrun.errors import LocalrunError

# The newest version whose answers are known here; an engine that is older speaks its own newest one, and
# one that is newer still speaks this one (Docker 29 speaks 1.44 and up).
NEWEST = (1, 51)
_JSON = {"Content-Type": "application/json"}
_NO_BODY = {"Content-Length": "0"}


class Api:
    """The engine's HTTP API over one transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._version = ""

    def json(self, method: str, path: str, query: Mapping[str, Any] | None = None, *, doing: str) -> Any:
        """The answer to a call without a body, as JSON; None when it has none."""
        return parse_json(self.bytes(method, path, query, doing=doing))

    def bytes(self, method: str, path: str, query: Mapping[str, Any] | None = None, *, doing: str) -> bytes:
        """The answer to a call without a body."""
        return b"".join(self.open(method, path, query, doing=doing).chunks())

    def post(self, path: str, body: Any, query: Mapping[str, Any] | None = None, *, doing: str) -> Any:
        """The answer to a JSON body, as JSON."""
        data = json.dumps(body).encode()
        answer = self.open("POST", path, query, body=data, headers=_JSON, doing=doing)
        return parse_json(b"".join(answer.chunks()))

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        doing: str,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """An answer that is read as it comes in. Raises what a refusal means."""
        answer = self.send(method, path, query, body=body, headers=headers)
        if answer.status >= 400:
            raise failures.api_error(answer.status, read_message(answer), doing)
        return answer

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """An answer, whatever its status is."""
        target = f"/v{self.version()}{path}"
        if query:
            target += "?" + urlencode(query)
        if headers is None and body is None:
            headers = {} if method == "GET" else _NO_BODY
        return self.transport.request(method, target, body, headers or {})

    def version(self) -> str:
        """The version that both sides speak, asked for once."""
        if not self._version:
            answer = self.transport.request("GET", "/_ping", None, {})
            words = read_message(answer)
            self._version = _common(answer.header("Api-Version"))
            if not self._version:
                raise _no_engine(answer.status, words)
        return self._version

    def is_older_than(self, version: tuple[int, int]) -> bool:
        """Whether the engine speaks no version as new as this one."""
        major, minor = self.version().split(".")
        return (int(major), int(minor)) < version


def _common(theirs: str) -> str:
    major, _, minor = theirs.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        return ""
    return "{}.{}".format(*min(NEWEST, (int(major), int(minor))))


def _no_engine(status: int, words: str) -> LocalrunError:
    return failures.api_error(status, words or "no version of its API", "asking the engine for its version")


def read_message(answer: Response) -> str:
    """The message of an answer, read to its end."""
    return parse_message(b"".join(answer.chunks()))


def parse_message(text: bytes) -> str:
    """The engine's words in the body of a refusal."""
    try:
        return str(json.loads(text)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace").strip()


def parse_json(text: bytes) -> Any:
    """JSON, or None for nothing."""
    return json.loads(text) if text.strip() else None


def iter_json(answer: Response) -> Iterator[dict[str, Any]]:
    """The JSON objects of an answer that reports as it goes, one per line or several in one chunk."""
    rest = b""
    for chunk in answer.chunks():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())
    if rest.strip():
        yield json.loads(rest)


def filters(**given: list[str]) -> dict[str, str]:
    """A query with filters."""
    return {"filters": json.dumps(given)}


def label_filter(labels: Mapping[str, str]) -> dict[str, str]:
    """A query for what carries all these labels; "" stands for any value."""
    return filters(label=[f"{name}={value}" if value else name for name, value in labels.items()])


def quote_segment(text: str) -> str:
    """A name as a part of a path; it cannot leave its place there."""
    return quote(text, safe="/:@") if ".." not in text else quote(text, safe="").replace(".", "%2E")
