"""Mask the secrets of a task in its output, even if they are split between two chunks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import unquote

MASK = "***"
MIN_LENGTH = 4  # characters; shorter secrets would match too many words

Name = TypeVar("Name", bound=str)

_MASK = MASK.encode()


def url_passwords(urls: Iterable[str]) -> list[str]:
    """Return the passwords in URLs such as `http://user:password@proxy:3128`, as written and decoded."""
    found: list[str] = []
    for url in urls:
        user_info = url.rpartition("@")[0].rpartition("://")[2]
        password = user_info.partition(":")[2]
        found += {password, unquote(password)} - {""}
    return found


class SecretMasker:
    """Masks secrets of at least `MIN_LENGTH` characters. `has_masked` is set once it has found one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= MIN_LENGTH}
        self._secrets = sorted(known, key=len, reverse=True)  # longest first: one may start with another
        self.has_masked = False

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def mask_text(self, text: str) -> str:
        if not self._secrets:
            return text
        return self.mask(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def mask(self, data: bytes) -> bytes:
        if not self._has_secret(data):
            return data
        masked, count = self._pattern.subn(_MASK, data)
        self.has_masked = self.has_masked or count > 0
        return masked

    @cached_property
    def _encoded(self) -> tuple[bytes, ...]:
        return tuple(secret.encode("utf-8", "surrogateescape") for secret in self._secrets)

    def _has_secret(self, data: bytes) -> bool:
        # a search for each secret is much faster than the pattern, and most output has none
        return any(secret in data for secret in self._encoded)

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        return re.compile(b"|".join(map(re.escape, self._encoded)))

    def _find_cut(self, data: bytes) -> int:
        """Return the position of trailing bytes that may start a secret, or the length of the data."""
        if not self._secrets:
            return len(data)
        cut = len(data) - self._partial_secret(data)
        if cut == len(data) or not self._has_secret(data):
            return cut
        for match in self._pattern.finditer(data):
            if match.start() < cut < match.end():  # do not split a complete secret
                cut = match.end()
        return cut

    def _partial_secret(self, data: bytes) -> int:
        end = data[-(max(map(len, self._encoded)) - 1) :]
        return max(_overlap(end, secret) for secret in self._encoded)

    def mask_json(self, value: Any) -> Any:
        """Return a JSON value with the secrets in its strings and keys masked."""
        if not self or not isinstance(value, str | dict | list | tuple):
            return value
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, dict):
            return {self.mask_json(key): self.mask_json(item) for key, item in value.items()}
        return [self.mask_json(item) for item in value]

    def mask_stream(self, chunks: Iterable[tuple[Name, bytes]]) -> Iterator[tuple[Name, bytes]]:
        """Mask interleaved chunks of named streams, including secrets that are split between chunks."""
        if not self._secrets:
            yield from chunks
            return
        pending: dict[Name, bytes] = {}
        for name, chunk in chunks:
            data = pending.pop(name, b"") + chunk
            cut = self._find_cut(data)
            if cut < len(data):
                pending[name] = data[cut:]
            if cut:
                yield name, self.mask(data[:cut])
        for name, rest in pending.items():
            yield name, self.mask(rest)


def _overlap(data: bytes, secret: bytes) -> int:
    """Return the length of the longest end of the data that is an incomplete start of the secret."""
    end = data[-(len(secret) - 1) :]
    at = end.find(secret[:1])
    while at >= 0 and not secret.startswith(end[at:]):
        at = end.find(secret[:1], at + 1)
    return len(end) - at if at >= 0 else 0
