"""Immutable data that is saved as JSON."""

from __future__ import annotations

import threading
from typing import Any, Self

import msgspec

from localrun.undecodable import decode_record, encode_record


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable data that is validated when it is read from JSON.

    Importing msgspec takes 15 ms, importing pydantic 100 ms, which is half the time of a small task.
    """

    def replace(self, **changes: Any) -> Self:
        return msgspec.structs.replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_json(self) -> bytes:
        """Return the fields as JSON, in UTF-8."""
        return encode_record(self)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read the output of `to_json`. Raises ValueError if it is invalid."""
        found: Self = decode_record(decoder(cls), text)
        return found


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_creating = threading.Lock()


def decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    """Return a cached JSON decoder for a type.

    Decoders are created one at a time. msgspec (0.22) writes type information into a struct without a lock,
    and crashes the process if two threads use a struct for the first time at once.
    """
    found = _decoders.get(type_)
    if found is None:
        with _creating:
            found = _decoders.setdefault(type_, msgspec.json.Decoder(type_))
    return found
