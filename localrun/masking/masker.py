"""Secrets that a task was given: found in what it writes, also where two pieces of it meet, and hidden."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar

MASK = "***"
MIN_LENGTH = 4  # characters; a shorter one would be found in every other word

Name = TypeVar("Name", bound=str)

_HIDDEN = MASK.encode()


class SecretMasker:
    """Knows secrets and hides them. `seen` says whether one was met. One of under `SHORTEST` is not found."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= MIN_LENGTH}
        self._secrets = sorted(known, key=len, reverse=True)  # of two that begin alike the longer is found
        self.has_masked = False

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def mask_text(self, text: str) -> str:
        """A text without secrets."""
        if not self._secrets:
            return text
        return self.mask(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def mask(self, data: bytes) -> bytes:
        """The same for bytes."""
        if not self._secrets:
            return data
        shown, count = self._pattern.subn(_HIDDEN, data)
        self.has_masked = self.has_masked or count > 0
        return shown

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        return re.compile(b"|".join(re.escape(secret.encode()) for secret in self._secrets))

    def pending_suffix(self, data: bytes) -> int:
        """How many bytes at the end have to wait for what follows: they may be the beginning of a secret."""
        if not self._secrets:
            return 0
        cut = len(data) - self._beginning(data)
        for match in self._pattern.finditer(data):
            if match.start() < cut < match.end():  # a whole one is not torn
                cut = match.end()
        return len(data) - cut

    def _beginning(self, data: bytes) -> int:
        secrets = [secret.encode() for secret in self._secrets]
        longest = min(max(map(len, secrets)) - 1, len(data))
        ends = (data[-size:] for size in range(longest, 0, -1))
        return next((len(end) for end in ends if any(secret.startswith(end) for secret in secrets)), 0)

    def mask_json(self, value: Any) -> Any:
        """Plain JSON values without secrets, in keys neither."""
        if not self or not isinstance(value, str | dict | list | tuple):
            return value
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, dict):
            return {self.mask_json(key): self.mask_json(item) for key, item in value.items()}
        return [self.mask_json(item) for item in value]

    def mask_stream(self, pieces: Iterable[tuple[Name, bytes]]) -> Iterator[tuple[Name, bytes]]:
        """What several streams of a program bring, in turn, without secrets, also where two pieces meet."""
        waiting: dict[Name, bytes] = {}
        for name, piece in pieces:
            data = waiting.pop(name, b"") + piece
            cut = len(data) - self.pending_suffix(data)
            if cut < len(data):
                waiting[name] = data[cut:]
            if cut:
                yield name, self.mask(data[:cut])
        for name, rest in waiting.items():
            yield name, self.mask(rest)
