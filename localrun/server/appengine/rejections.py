"""Requests to App Engine's API that localrun's own checks reject, in the format of App Engine's errors."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from localrun.server.appengine.deviations import deviate, warning_headers
from localrun.server.appengine.errors import SERVER_ERROR, AppEngineError, server
from localrun.server.appengine.responses import HEADERS, error_response
from localrun.server.rejection import Rejection

_ROWS = {401: "token", 403: "origin", 413: "too_large", 421: "host"}


def as_app_engine_error(error: Rejection, scope: Scope) -> AppEngineError:
    """Return a rejection as an error of App Engine, which would accept some of these requests."""
    row = _ROWS.get(error.status_code)
    if row is not None:
        deviate(scope, row)
    text = "; ".join(part for part in (str(error.detail), error.hint) if part)
    return AppEngineError(error.status_code, SERVER_ERROR, text, server(None))


def rejection_response(error: Rejection, scope: Scope) -> Response:
    """Return the response to a request that was rejected before the API got it."""
    scope = {**scope}
    found = as_app_engine_error(error, scope)
    response = error_response(found, Headers(scope=scope), {**HEADERS, **(error.headers or {})})
    response.raw_headers.extend(warning_headers(scope))
    return response
