"""Where this API differs from App Engine's: one table, in the order of its parts.

A bug of App Engine that only hurts its clients is not repeated. Where its documentation and its server
differ, localrun follows the server, unless the table says otherwise. A row of kind "safety" protects this
machine. A response that differs has a `Warning` header with App Engine's behavior.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from starlette.types import Scope

SCOPE_KEY = "localrun.deviations"

Kind = Literal["bug", "difference", "safety"]


class Deviation(NamedTuple):
    """A row of the table: what App Engine does, as the end of "App Engine ...", and what localrun does."""

    id: str
    kind: Kind
    app_engine: str
    here: str


# fmt: off
_COMMON: tuple[Deviation, ...] = (
    Deviation("origin", "safety",
              "answers web pages of every origin, with credentials",
              "a web page of another origin is refused; a page of this server gets the CORS headers"),
    Deviation("token", "safety",
              "asks for no authentication",
              "a server with a token refuses requests without it (401)"),
    Deviation("host", "safety",
              "accepts every Host header",
              "a server on the loopback interface accepts its own names only (421)"),
    Deviation("too_large", "safety",
              "accepts requests of every size",
              "a body larger than the upload limit is refused (413)"),
)

_TASKS: tuple[Deviation, ...] = (
    Deviation("image_first", "bug",
              "answers 500 to an invalid descriptor or a duplicate behind the image of a bundle, and deletes"
              " the image of that name",
              "the order of a bundle does not matter"),
    Deviation("upload_details", "difference",
              "sends no details with this refusal",
              "the details list every problem of the bundle"),
    Deviation("bundle_unusable", "difference",
              "accepts this bundle, although no run of it can succeed",
              "a bundle that localrun cannot run is refused (400)"),
    Deviation("bundle_zip", "difference",
              "has no such address; only its stores have it",
              "localrun is a store, too: it serves its bundles"),
)

_PROVISIONS: tuple[Deviation, ...] = ()

_RUNS: tuple[Deviation, ...] = ()

_STORES: tuple[Deviation, ...] = (
    Deviation("store_default", "bug",
              "has no default store any more after a request for an unknown one",
              "the default store is kept"),
)
# fmt: on

DEVIATIONS: dict[str, Deviation] = {
    row.id: row for row in (*_COMMON, *_TASKS, *_PROVISIONS, *_RUNS, *_STORES)
}


def deviate(scope: Scope, row: str) -> None:
    """Add the `Warning` header of a row to the response of a request."""
    found: list[str] = scope.setdefault(SCOPE_KEY, [])
    if row not in found:
        found.append(row)


def warning_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the `Warning` headers of a response."""
    texts = (f"App Engine {DEVIATIONS[row].app_engine}" for row in scope.get(SCOPE_KEY, ()))
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return [(b"warning", f'299 localrun "{text}"'.encode()) for text in quoted]
