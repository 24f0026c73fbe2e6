"""How browsers get the token of a server: by codes that work once, and by tickets for single downloads."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

CODE_SECONDS = 15 * 60.0
TICKET_SECONDS = 60.0
_MAX_KEPT = 256  # codes, and tickets; the oldest is dropped


class _OneTimeKeys:
    """Random keys with a value, each of which works once and until it expires."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._values: dict[str, tuple[float, str]] = {}  # in order of creation

    def make(self, value: str) -> str:
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._values[key] = (self._clock() + self._seconds, value)
            while len(self._values) > _MAX_KEPT:
                del self._values[next(iter(self._values))]
        return key

    def take(self, key: str) -> str | None:
        """Return the value of a key and forget it; None if it is unknown, used or expired."""
        with self._lock:
            expires, value = self._values.pop(key, (0.0, ""))
        return value if self._clock() < expires else None


class Sessions:
    """The codes and tickets of a server with a token. Thread-safe.

    `key` is for programs of this user on this machine: it only allows to make a code.
    """

    def __init__(self, token: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = token
        self.key = secrets.token_urlsafe(32)
        self._codes = _OneTimeKeys(CODE_SECONDS, clock)
        self._tickets = _OneTimeKeys(TICKET_SECONDS, clock)

    def make_code(self) -> str:
        return self._codes.make("code")

    def redeem(self, code: str) -> bool:
        """Return whether a code is valid, which it is once."""
        return self._codes.take(code) is not None

    def make_ticket(self, target: str) -> str:
        """Return a ticket for one GET of a path."""
        return self._tickets.make(unquote(urlsplit(target).path))

    def use_ticket(self, ticket: str, path: str) -> bool:
        """Return whether a ticket is valid for a decoded path. It is used up in any case."""
        return self._tickets.take(ticket) == path

    def is_authorized(self, header: str) -> bool:
        """Return whether an `Authorization` header has the token, or the server needs none."""
        return self.token is None or _is_bearer(header, self.token)

    def has_key(self, header: str) -> bool:
        """Return whether an `Authorization` header has the key for making a code."""
        return _is_bearer(header, self.key)


def _is_bearer(header: str, secret: str) -> bool:
    return hmac.compare_digest(header.encode("latin-1", "replace"), f"Bearer {secret}".encode())
