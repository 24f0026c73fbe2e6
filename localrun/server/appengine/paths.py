"""The addresses of App Engine's API, below one or more prefixes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from localrun.errors import UsageError

DEFAULT_PREFIXES = ("/app-engine/", "/api/")
SCOPE_KEY = "localrun.app_engine_path"
PING = "/ping"
_VERSION = "v1/"
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*/")
_SECRET = re.compile(r"(/task-runs/+[^/]+/+)[^/]+(?=/+outputs\.zip$)")
_OWN = frozenset(  # the first parts of the paths of localrun's API
    {"bundle", "diff", "docs", "events", "heartbeat", "journal", "queue", "session", "task", "tasks", "ui"}
)


def read_prefix(text: str) -> str:
    """Return a prefix with a slash at both ends and without the version, such as `/app-engine/`.

    Raises `UsageError` if it is not a path, or one of localrun's own API.
    """
    prefix = f"/{text.strip('/')}/" if text.strip("/") else "/"
    if prefix.endswith(f"/{_VERSION}"):
        prefix = prefix.removesuffix(_VERSION)
    if not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
        raise UsageError(f"invalid API prefix {text!r}", remedy="use a path such as /app-engine/")
    if prefix.split("/")[1] in _OWN:
        raise UsageError(
            f"the API prefix {text!r} is used by localrun", remedy="use a path such as /app-engine/"
        )
    return prefix


def sub_path(path: str, prefixes: Sequence[str]) -> str | None:
    """Return the path within App Engine's API, e.g. `/v1/tasks`; None if the path is not one of it."""
    if path == PING:
        return PING
    if "//" in path:
        path = re.sub("/{2,}", "/", path)
    for prefix in prefixes:
        if path.startswith(f"{prefix}{_VERSION}"):
            return path[len(prefix) - 1 :]
    return None


def without_secret(path: str) -> str:
    """Return a path for the journal, which must not have the secret of a run."""
    return _SECRET.sub(r"\1***", path)


def find_path(scope: Scope) -> str | None:
    """Return the path of a request within App Engine's API, as the middleware found it."""
    found: str | None = scope.get(SCOPE_KEY)
    return found


class AppEnginePathMiddleware:
    """Marks the requests to App Engine's API, before they are checked."""

    def __init__(self, app: ASGIApp, prefixes: Sequence[str]) -> None:
        self._app = app
        self._prefixes = tuple(prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            found = sub_path(scope["path"], self._prefixes)
            if found is not None:
                scope = {**scope, SCOPE_KEY: found}
        await self._app(scope, receive, send)
