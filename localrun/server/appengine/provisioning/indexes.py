"""The indexes of an item of an array in an address, such as `0` or `0/1`."""

from __future__ import annotations

import re

from localrun.descriptor.types import Array, DataType
from localrun.server.appengine.errors import AppEngineError, invalid_number, related, server_error

_INDEXES = re.compile(r"0(/[0-9]+)*|[1-9][0-9]*(/[0-9]+)*")
_PATTERN = "{^(0(/[0-9]+)*|[1-9][0-9]*(/[0-9]+)*)$}"
_MAX_DIGITS = 9


def parse_indexes(name: str, text: str | None) -> list[str]:
    """Return the indexes of an item of a parameter, without leading zeros. Raises `AppEngineError`."""
    if text is None:
        raise server_error("Required request parameter 'value' is not present")
    if not _INDEXES.fullmatch(text):
        details = related(name, f"indexes [{text}] is not a valid")
        message = f"indexes don't match pattern {_PATTERN}"
        raise AppEngineError(400, "APPE-internal-invalid-indexes", message, details)
    found = [index.lstrip("0") or "0" for index in text.split("/")]
    if max(map(len, found)) > _MAX_DIGITS:
        raise invalid_number()
    return found


def item_kind(kind: DataType, indexes: list[str]) -> DataType | None:
    """Return the type of an item of an array; None if the array is not nested that deep."""
    for _ in indexes:
        if not isinstance(kind, Array):
            return None
        kind = kind.subtype
    return kind


def is_beyond_size(kind: DataType, indexes: list[str]) -> bool:
    """Return whether an index is not less than the maximum size of its array."""
    for index in indexes:
        if not isinstance(kind, Array):
            return False
        if kind.max_size is not None and int(index) >= kind.max_size:
            return True
        kind = kind.subtype
    return False
