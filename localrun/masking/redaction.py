"""What may be written down: plain JSON, no secrets, and not too much of it.

Anything goes in; what JSON has no form for is named by its type. Nothing of a stranger's is called (no
`repr`, no iteration of unknown types): a log line must not be able to fail.
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

# where records of dataclasses, msgspec and pydantic say what their fields are, without importing these
_MARKERS = ("__dataclass_fields__", "__struct_fields__", "__pydantic_fields__")

# without one of these in it, a text holds nothing that the patterns above find
_CLUES = (
    *("passw", "passphrase", "pwd", "secret", "token", "api", "auth", "credential"),
    *("private", "access", "cookie", "bearer", "://"),
)
_compact = msgspec.json.encode
_AS_IT_IS = frozenset({str, bool, type(None)})
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # made once: that is half of the work

_DEPTH = 12
_ITEMS = 200  # of one list or object
_NODES = 5000
_SHORT = 2000  # characters of a line that can be too much in no other way than those that are counted
_TEXT = 8192  # characters of one string
_TEXTS = 65536  # characters of one line
_BITS = 256
_WORD = 2**63


class Redactor:
    """Makes data fit to be written down; knows the secrets that it was told."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        for secret in secrets:
            self.add_secret(secret)

    def add_secret(self, secret: str) -> None:
        """Never write this value down, wherever it turns up. One of under four characters is not found."""
        if len(secret) >= MIN_LENGTH:
            self._secrets = tuple(sorted({*self._secrets, secret}, key=len, reverse=True))

    def encode_fast(self, data: Any) -> str | None:
        """Its JSON, if it is plain, short and innocent as it is; that can be told of most by their JSON."""
        try:
            if not _is_plain(data, _DEPTH):
                return None
            text = _compact(data)
            # in one line, with the spaces that json.dumps writes
            return msgspec.json.format(text, indent=0).decode() if self._is_innocent(text.decode()) else None
        except (ValueError, RuntimeError):  # half a surrogate pair, or changed while it is read
            return None

    def _is_innocent(self, text: str) -> bool:
        if len(text) > _SHORT or text.count(",") >= _ITEMS or not text.isascii():
            return False
        lower = text.lower()
        for clue in _CLUES:  # no generator: this is the hottest line of a server
            if clue in lower:
                return False
        return not any(_compact(one)[1:-1].decode() in text for one in self._secrets)

    def redact(self, data: Any) -> Any:
        """The same as plain JSON values, without secrets, cut where there is too much."""
        return _Plain(self).of(data)

    def redact_text(self, text: str) -> str:
        """A text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        if "=" in text or ":" in text:  # most texts are short words: not worth a search
            text = _ASSIGNED.sub(rf"\1{MASK}", text)
            text = _USER_INFO.sub(rf"\1{MASK}", text)
        return _BEARER.sub(rf"\1{MASK}", text) if " " in text else text


def _is_plain(value: Any, depth: int) -> bool:
    """Whether it is made of nothing but what JSON has, and is not deep."""
    kind = type(value)
    if kind is dict:
        return depth > 0 and _holds_plain(value, depth - 1)
    if kind is list:
        return depth > 0 and _lists_plain(value, depth - 1)
    if kind is int:
        return bool(-_WORD <= value < _WORD)
    if kind is float:
        return bool(math.isfinite(value))
    return kind in _AS_IT_IS


def _holds_plain(items: dict[Any, Any], depth: int) -> bool:
    for key, value in items.items():
        if type(key) is not str or (type(value) is not str and not _is_plain(value, depth)):
            return False
    return True


def _lists_plain(items: list[Any], depth: int) -> bool:
    for one in items:  # noqa: SIM110 - a generator takes five times as long, and this is done for every line
        if type(one) is not str and not _is_plain(one, depth):
            return False
    return True


class _Plain:
    """One line's worth of work: it counts what it has written, so that no data can make it endless."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._nodes = _NODES
        self._chars = _TEXTS

    def of(self, value: Any, depth: int = 0) -> Any:
        self._nodes -= 1
        if type(value) is str and depth < _DEPTH and self._nodes >= 0:  # what most values are
            return self._text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Enum):
            return self.of(value.value, depth)
        if isinstance(value, int | float):
            return _number(value)
        if depth >= _DEPTH or self._nodes < 0:
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
        return self._text(_name(value)) if fields is None else self._object(fields, depth)

    def _text(self, text: str) -> str:
        if type(text) is str and len(text) <= min(_TEXT, self._chars):  # as most are: nothing to cut
            shown = self._redactor.redact_text(text)
            if len(shown) <= len(text):
                self._chars -= len(shown)
                return shown
        room = max(min(_TEXT, self._chars), 0)
        shown = self._redactor.redact_text(str.__str__(text[: 2 * room]))[:room]
        self._chars -= len(shown)
        return shown if len(text) <= room else f"{shown}... [{len(text)} characters, cut]"

    def _array(self, items: list[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        hide = False
        for item in items[:_ITEMS]:
            found.append(MASK if hide else self.of(item, depth + 1))
            hide = isinstance(item, str) and _OPTION.fullmatch(item) is not None  # --password, hunter2
        if len(items) > _ITEMS:
            found.append(f"... [{len(items)} items, cut]")
        return found

    def _object(self, items: dict[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        named = _names_secret(items)
        for number, (key, value) in enumerate(list(items.items())):  # others may be changing it
            if number == _ITEMS or self._nodes < 0:
                found["..."] = f"[{len(items)} items, cut]"
                break
            name = self._text(key if isinstance(key, str) else str(self.of(key, _DEPTH)))
            secret = _means_secret(name) or (named and name == "value")
            found[name] = MASK if secret and _tells(value) else self.of(value, depth + 1)
        return found


def _tells(value: Any) -> bool:
    return value is not None and value != "" and not isinstance(value, bool)


def _names_secret(items: dict[Any, Any]) -> bool:
    """`{"name": "DB_PASSWORD", "value": ...}`, as Kubernetes writes an environment."""
    name = items.get("name", items.get("key"))
    return isinstance(name, str) and len(name) <= _TEXT and _means_secret(name)


@lru_cache(maxsize=1024)
def _means_secret(name: str) -> bool:
    return _KEY.search(name) is not None


def _number(value: float) -> float | str:
    if isinstance(value, int):
        bits = int.bit_length(value)
        return int(value) if bits <= _BITS else f"[integer of {bits} bits]"
    return float(value) if math.isfinite(value) else float.__repr__(value)


def _fields(value: Any) -> dict[str, Any] | None:
    kind = type(value)
    for marker in _MARKERS:
        names = getattr(kind, marker, None)
        if isinstance(names, dict | tuple):
            return {name: getattr(value, name, None) for name in names}
    return None


def _name(value: Any) -> str:
    if isinstance(value, PurePath | UUID):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {', '.join(a for a in value.args if isinstance(a, str))}"
    return f"[{type(value).__qualname__}]"
