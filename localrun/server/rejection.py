"""Error responses: JSON for programs, a page for a person with a browser."""

from __future__ import annotations

import html
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from localrun.server.responses import SAFE_HEADERS, json_response

_PAGE_HEADERS = {
    **SAFE_HEADERS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title} - localrun</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }}
code {{ background: #8882; padding: .1em .3em; border-radius: .2em; overflow-wrap: anywhere; }}
</style>
<h1>{title}</h1>
<p>{detail}</p>
{hint}
<p>This is a localrun server. <a href="/docs">API documentation</a></p>
</html>
"""


class Rejection(HTTPException):
    """A rejected request. `hint` says how to fix it, `fields` are more keys of the response."""

    def __init__(
        self,
        status: int,
        detail: str,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(status, detail, headers)
        self.hint = hint
        self.fields = fields

    @property
    def content(self) -> dict[str, Any]:
        """The body of the response."""
        return error_content(self.detail, self.hint) | self.fields


def error_content(detail: Any, hint: str = "") -> dict[str, Any]:
    """Return the body of an error response."""
    return {"detail": detail, "hint": hint} if hint else {"detail": detail}


def error_response(
    method: str,
    headers: Headers,
    status: int,
    content: Mapping[str, Any],
    more_headers: Mapping[str, str] | None = None,
    *,
    is_page: bool = False,
) -> Response:
    """Return the response to a rejected request: JSON, whatever the client accepts.

    For the path of a page (`is_page`), it is a page if a browser shows it to a person.
    """
    detail = content["detail"]
    is_page = is_page and method in ("GET", "HEAD") and accepts_html(headers)
    if not is_page or not isinstance(detail, str):
        return json_response(content, status, more_headers)
    hint = content.get("hint", "")
    page = _PAGE.format(
        title=f"{status} {HTTPStatus(status).phrase}",
        detail=html.escape(detail),
        hint=f"<p>{_marked(hint)}</p>" if hint else "",
    )
    return HTMLResponse(page, status, {**_PAGE_HEADERS, **(more_headers or {})})


def is_page_path(path: str) -> bool:
    """Return whether a path is one of a page, not of the JSON API."""
    return path in ("/", "/docs", "/ui") or path.startswith(("/ui/", "/docs/"))


def accepts_html(headers: Headers) -> bool:
    """Return whether a client prefers a page, as browsers do that show a response to a person."""
    accepted = headers.get("accept", "").lower()
    return "text/html" in accepted and "application/json" not in accepted


def _marked(text: str) -> str:
    """Return text as HTML, with code between backticks."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
