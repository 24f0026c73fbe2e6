"""JSON responses, encoded without a model because the hot routes answer in microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from localrun.undecodable import encode_json

SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = encode_json(content)
    return Response(body, status, {**SAFE_HEADERS, **(headers or {})}, media_type="application/json")
