"""Turn any data into JSON for logs: without secrets, and limited in size.

Values that JSON cannot express are replaced by their type. No foreign code is called (no `repr`, no
iteration of unknown types), so writing a log line cannot fail.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from datetime import date, datetime, time
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any
from uuid import UUID

import msgspec

from localrun.masking.masker import MASK, MIN_LENGTH

_WORDS = (
    r"passw(?:or)?d|passphrase|pwd|secret|token(?!s|i[sz])|api[_-]?key|authori[sz]ation|credential"
    r"|private[_-]?key|access[_-]?key|cookie"
)
_KEY = re.compile(rf"{_WORDS}|^auth$", re.IGNORECASE)
_OPTION = re.compile(rf"--?[\w-]{{0,40}}(?:{_WORDS})[\w-]{{0,40}}", re.IGNORECASE)
_SCHEME = r"(?:(?:bearer|basic|digest)\s{1,3})?"
_ASSIGNED = re.compile(
    rf"((?:{_WORDS})[\w.-]{{0,40}}[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?){_SCHEME}[^\s\"'&,;]+", re.IGNORECASE
)
_BEARER = re.compile(r"\b(bearer\s{1,3})[\w.~+/=-]{6,}", re.IGNORECASE)
_USER_INFO = re.compile(r"(://[^/\s:@]{0,100}:)[^/\s@]{1,200}(?=@)")

# attributes that list the fields of dataclasses, msgspec structs and pydantic models
_MARKERS = ("__dataclass_fields__", "__struct_fields__", "__pydantic_fields__")

# a text without any of these does not match the patterns above
_KEYWORDS = (
    *("passw", "passphrase", "pwd", "secret", "token", "api", "auth", "credential"),
    *("private", "access", "cookie", "bearer", "://"),
)
_compact = msgspec.json.encode
_UNCHANGED = frozenset({str, bool, type(None)})
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # creating it is expensive

_MAX_DEPTH = 12
_MAX_ITEMS = 200  # of a list or an object
_MAX_NODES = 5000
_MAX_FAST = 2000  # characters of a line on the fast path; it cannot reach the other limits
_MAX_STRING = 8192  # characters of a string
_MAX_CHARS = 65536  # characters of a line
_MAX_BITS = 256
_INT64 = 2**63


class Redactor:
    """Redacts data for logs: registered secrets, and values whose key or text looks like a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        for secret in secrets:
            self.add_secret(secret)

    def add_secret(self, secret: str) -> None:
        """Redact this value everywhere, unless it is shorter than `MIN_LENGTH`."""
        if len(secret) >= MIN_LENGTH:
            self._secrets = tuple(sorted({*self._secrets, secret}, key=len, reverse=True))

    def encode_fast(self, data: Any) -> str | None:
        """Return the JSON of plain, short data without any sign of a secret, or None: a fast path."""
        try:
            if not _is_plain(data, _MAX_DEPTH):
                return None
            text = _compact(data)
            # on one line, with the spaces of json.dumps
            return msgspec.json.format(text, indent=0).decode() if self._is_harmless(text.decode()) else None
        except (ValueError, RuntimeError):  # a lone surrogate, or data that changes during encoding
            return None

    def _is_harmless(self, text: str) -> bool:
        if len(text) > _MAX_FAST or text.count(",") >= _MAX_ITEMS or not text.isascii():
            return False
        lower = text.lower()
        for keyword in _KEYWORDS:  # no generator: this is the hottest line of a server
            if keyword in lower:
                return False
        return not any(_compact(one)[1:-1].decode() in text for one in self._secrets)

    def redact(self, data: Any) -> Any:
        """Return the data as JSON values without secrets, truncated to the limits."""
        return _Conversion(self).convert(data)

    def redact_text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        if "=" in text or ":" in text:  # most strings are short words: skip the search
            text = _ASSIGNED.sub(rf"\1{MASK}", text)
            text = _USER_INFO.sub(rf"\1{MASK}", text)
        return _BEARER.sub(rf"\1{MASK}", text) if " " in text else text


def _is_plain(value: Any, depth: int) -> bool:
    """Return whether the value consists of JSON types only and is not deep."""
    kind = type(value)
    if kind is dict:
        return depth > 0 and _is_plain_dict(value, depth - 1)
    if kind is list:
        return depth > 0 and _is_plain_list(value, depth - 1)
    if kind is int:
        return bool(-_INT64 <= value < _INT64)
    if kind is float:
        return bool(math.isfinite(value))
    return kind in _UNCHANGED


def _is_plain_dict(items: dict[Any, Any], depth: int) -> bool:
    for key, value in items.items():
        if type(key) is not str or (type(value) is not str and not _is_plain(value, depth)):
            return False
    return True


def _is_plain_list(items: list[Any], depth: int) -> bool:
    for one in items:  # noqa: SIM110 - a generator is five times slower, and this runs for every line
        if type(one) is not str and not _is_plain(one, depth):
            return False
    return True


class _Conversion:
    """Converts the data of one line, counting nodes and characters to limit its work."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._nodes = _MAX_NODES
        self._chars = _MAX_CHARS

    def convert(self, value: Any, depth: int = 0) -> Any:
        self._nodes -= 1
        if type(value) is str and depth < _MAX_DEPTH and self._nodes >= 0:  # the most common case
            return self._text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Enum):
            return self.convert(value.value, depth)
        if isinstance(value, int | float):
            return _number(value)
        if depth >= _MAX_DEPTH or self._nodes < 0:
            return "[cut]"
        return self._compound(value, depth)

    def _compound(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return self._object(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._array(list(value), depth)
        fields = _fields(value)
        return self._text(_describe(value)) if fields is None else self._object(fields, depth)

    def _text(self, text: str) -> str:
        if type(text) is str and len(text) <= min(_MAX_STRING, self._chars):  # the most common case
            redacted = self._redactor.redact_text(text)
            if len(redacted) <= len(text):
                self._chars -= len(redacted)
                return redacted
        limit = max(min(_MAX_STRING, self._chars), 0)
        redacted = self._redactor.redact_text(str.__str__(text[: 2 * limit]))[:limit]
        self._chars -= len(redacted)
        return redacted if len(text) <= limit else f"{redacted}... [{len(text)} characters, cut]"

    def _array(self, items: list[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        is_secret = False
        for item in items[:_MAX_ITEMS]:
            found.append(MASK if is_secret else self.convert(item, depth + 1))
            is_secret = isinstance(item, str) and _OPTION.fullmatch(item) is not None  # --password, hunter2
        if len(items) > _MAX_ITEMS:
            found.append(f"... [{len(items)} items, cut]")
        return found

    def _object(self, items: dict[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        is_named = _names_secret(items)
        for number, (key, value) in enumerate(list(items.items())):  # a copy: another thread may change it
            if number == _MAX_ITEMS or self._nodes < 0:
                found["..."] = f"[{len(items)} items, cut]"
                break
            name = self._text(key if isinstance(key, str) else str(self.convert(key, _MAX_DEPTH)))
            secret = _is_secret_name(name) or (is_named and name == "value")
            found[name] = MASK if secret and _is_sensitive(value) else self.convert(value, depth + 1)
        return found


def _is_sensitive(value: Any) -> bool:
    return value is not None and value != "" and not isinstance(value, bool)


def _names_secret(items: dict[Any, Any]) -> bool:
    """Return whether it is like `{"name": "DB_PASSWORD", "value": ...}`, as in Kubernetes."""
    name = items.get("name", items.get("key"))
    return isinstance(name, str) and len(name) <= _MAX_STRING and _is_secret_name(name)


@lru_cache(maxsize=1024)
def _is_secret_name(name: str) -> bool:
    return _KEY.search(name) is not None


def _number(value: float) -> float | str:
    if isinstance(value, int):
        bits = int.bit_length(value)
        return int(value) if bits <= _MAX_BITS else f"[integer of {bits} bits]"
    return float(value) if math.isfinite(value) else float.__repr__(value)


def _fields(value: Any) -> dict[str, Any] | None:
    kind = type(value)
    for marker in _MARKERS:
        names = getattr(kind, marker, None)
        if isinstance(names, dict | tuple):
            return {name: getattr(value, name, None) for name in names}
    return None


def _describe(value: Any) -> str:
    if isinstance(value, PurePath | UUID):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {', '.join(a for a in value.args if isinstance(a, str))}"
    return f"[{type(value).__qualname__}]"
