"""Responses as App Engine's framework writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from localrun.server.appengine.errors import AppEngineError
from localrun.server.file_response import prepare_download
from localrun.undecodable import encode_json

OCTETS = "application/octet-stream"
TEXT = "text/plain;charset=UTF-8"
HEADERS = {  # of every response
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache, no-store, max-age=0, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
}


def json(content: Any, status: int = 200) -> Response:
    return Response(encode_json(content), status, media_type="application/json")


def empty(status: int = 200) -> Response:
    return Response(status_code=status)


def send_file(request: Request, stream: BinaryIO, filename: str, media_type: str = OCTETS) -> Response:
    """Return the response that sends an open file, or the range of it that the client asks for."""
    headers = request.headers
    try:
        sent = prepare_download(stream, filename, headers.get("range"), headers.get("if-range"))
    except HTTPException as error:
        return Response(status_code=416, headers=error.headers)
    changed = {**attachment_headers(filename), "Content-Type": media_type}
    return replace(sent, headers={**sent.headers, **changed}).response()


def attachment_headers(filename: str) -> dict[str, str]:
    plain = filename.encode("ascii", "replace").decode().replace('"', "'")  # of an undeclared output
    return {"Content-Disposition": f'attachment; filename="{plain}"'}


def error_response(
    error: AppEngineError, headers: Headers, more_headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error response. A 403 is text unless the client asks for JSON: App Engine writes a string."""
    as_text = error.status_code == 403 and "application/json" not in headers.get("accept", "")
    response = Response(encode_json(error.content), error.status_code, dict(more_headers or {}))
    response.headers["Content-Type"] = TEXT if as_text else "application/json"
    return response
