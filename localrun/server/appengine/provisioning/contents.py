"""Check JSON values in the order and with the messages of App Engine, and return what to write for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localrun.descriptor.types import (
    Array,
    Boolean,
    DataType,
    DateTime,
    Enumeration,
    File,
    Geometry,
    Image,
    Integer,
    Notes,
    Number,
    String,
)
from localrun.descriptor.types.datetime import parse_instant
from localrun.server.appengine.provisioning.geometry import check_geometry, split_collection
from localrun.server.appengine.provisioning.images import check_image
from localrun.server.appengine.provisioning.invalid_value import (
    ABOVE,
    BELOW,
    NO_MATCH,
    TOO_LARGE,
    TOO_SMALL,
    WRONG_TYPE,
    InvalidValue,
    NotANumber,
    NotStored,
    Unexpected,
    wrong_dimensions,
    wrong_structure,
)

_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1
_MAX_INDEX = 999_999_999
_MAX_ENUMERATION = 256  # characters
_ANY_NUMBER = Number(infinity_allowed=True, nan_allowed=True)
_NULLABLE = (Boolean, Integer, Number, String, Enumeration)

FindFile = Callable[[str], Path]
# the text of a file, a file to copy, or the items of an array by their index
Content = bytes | Path | dict[int, "Content"]


def content_of(kind: DataType, value: Any, find_file: FindFile, *, optional: bool = False) -> Content:
    """Return the content of an input for a JSON value.

    `find_file` returns the file of a path on this machine, or raises `InvalidValue`. Raises `InvalidValue`
    for the first rule that the value breaks.
    """
    if isinstance(kind, Array):
        return _items(kind, value, find_file)
    if value is None:
        return _null(kind, optional=optional)
    if isinstance(kind, (File, Image)):
        if not isinstance(value, str):
            raise InvalidValue(WRONG_TYPE)
        path = find_file(value)
        check_file(kind, path)
        return path
    _CHECKS[type(kind)](kind, value)
    return _text(value).encode(errors="replace")


def broken_rule(kind: DataType, value: Any) -> InvalidValue | None:
    """Return the rule that a value, as the API shows it, breaks; None for a value of the wrong type."""
    try:
        content_of(kind, value, Path)
    except Unexpected:
        return None
    except InvalidValue as error:
        return error
    return None


def check_file(kind: DataType, path: Path) -> bool:
    """Check the file of an input; return whether it is a zipped slide, which is unpacked.

    App Engine only checks images.
    """
    return isinstance(kind, Image) and check_image(kind, path)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else _ANY_NUMBER.to_text(value)


def _null(kind: DataType, *, optional: bool) -> bytes:
    """Return the content for null, which App Engine writes as a word."""
    if isinstance(kind, _NULLABLE) or (optional and isinstance(kind, Geometry)):
        return b"null"
    if not optional:
        raise InvalidValue(WRONG_TYPE)
    raise Unexpected("null") if isinstance(kind, DateTime) else NotStored("the value is null")


def _boolean(_: DataType, value: Any) -> None:
    if not isinstance(value, bool):
        raise InvalidValue(NO_MATCH)


def _integer(kind: Integer, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unexpected("expected an integer")
    if not _INT_MIN <= value <= _INT_MAX:
        raise Unexpected("expected an integer of 32 bits")
    _check_range(kind, value)


def _number(kind: Number, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidValue(WRONG_TYPE)
    number = _ANY_NUMBER.parse(value, Notes("")) if isinstance(value, str) else _as_float(value)
    if number is None:
        raise NotANumber
    _check_range(kind, number)
    if not kind.infinity_allowed and math.isinf(number):
        raise InvalidValue("value cannot be infinity")
    if not kind.nan_allowed and math.isnan(number):
        raise InvalidValue("value cannot be nan")


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _check_range(kind: Integer | Number, value: float) -> None:
    """Compare with the bounds. NaN satisfies all of them."""
    if kind.gt is not None and value <= kind.gt:
        raise InvalidValue(TOO_SMALL)
    if kind.geq is not None and value < kind.geq:
        raise InvalidValue(BELOW)
    if kind.lt is not None and value >= kind.lt:
        raise InvalidValue(TOO_LARGE)
    if kind.leq is not None and value > kind.leq:
        raise InvalidValue(ABOVE)


def _string(kind: String, value: Any) -> None:
    if not isinstance(value, str):
        raise Unexpected("expected a string")
    length = len(value.encode("utf-16-le", "surrogatepass")) // 2
    if length < kind.min_length:
        raise InvalidValue(TOO_SMALL)
    if kind.max_length is not None and length > kind.max_length:
        raise InvalidValue(BELOW)  # App Engine's text for a string that is too long


def _enumeration(kind: Enumeration, value: Any) -> None:
    if not isinstance(value, str):
        raise InvalidValue(NO_MATCH)
    if len(value) > _MAX_ENUMERATION or "\n" in value or "\r" in value:
        raise InvalidValue(TOO_SMALL)
    if value not in kind.values:
        raise InvalidValue(NO_MATCH)


def _datetime(kind: DateTime, value: Any) -> None:
    if not isinstance(value, str):
        raise InvalidValue(WRONG_TYPE)
    moment = parse_instant(value)
    if moment is None:
        raise Unexpected("expected a datetime with a time zone")
    before, after = (parse_instant(bound) if bound else None for bound in (kind.before, kind.after))
    if before is not None and moment > before:
        raise InvalidValue("date must be before the defined constraint")
    if after is not None and moment < after:
        raise InvalidValue("date must be after the defined constraint")


_CHECKS: Mapping[type[DataType], Callable[[Any, Any], None]] = {
    Boolean: _boolean,
    Integer: _integer,
    Number: _number,
    String: _string,
    Enumeration: _enumeration,
    DateTime: _datetime,
    Geometry: lambda _, value: check_geometry(value),
}


def is_bare_list(value: Any) -> bool:
    """Return whether a value is a list without indexes, which App Engine cannot store."""
    return isinstance(value, list) and any(not isinstance(item, dict) for item in value)


def has_bare_list(value: Any) -> bool:
    """Return whether a value is, or has at any depth, a list without indexes."""
    if not isinstance(value, list):
        return False
    return is_bare_list(value) or any(has_bare_list(item.get("value")) for item in value)


def has_both_sizes(kind: Array) -> bool:
    return None not in (kind.min_size, kind.max_size)


def has_all_inner_sizes(kind: DataType) -> bool:
    """Return whether all arrays in an array have a minimum and a maximum size, which App Engine expects."""
    inner = kind.subtype if isinstance(kind, Array) else kind
    return not isinstance(inner, Array) or (has_both_sizes(inner) and has_all_inner_sizes(inner))


def is_collection(kind: DataType, value: Any) -> bool:
    """Return whether a value is one GeoJSON text for a whole array, which App Engine cannot store."""
    return isinstance(kind, Array) and isinstance(kind.subtype, Geometry) and isinstance(value, str)


def _items(kind: Array, value: Any, find_file: FindFile) -> dict[int, Content]:
    if value is None:
        raise NotStored("the value is null")
    if is_collection(kind, value):
        value = split_collection(value)
    if not isinstance(value, list):
        raise wrong_structure()
    size = len(value)
    if size < (kind.min_size or 0) or (kind.max_size is not None and size > kind.max_size):
        raise wrong_dimensions()
    items = dict(enumerate(value)) if is_bare_list(value) else dict(map(_item, value))
    return {index: content_of(kind.subtype, item, find_file) for index, item in items.items()}


def _item(item: dict[str, Any]) -> tuple[int, Any]:
    index = item.get("index")
    if isinstance(index, bool) or not isinstance(index, int) or "value" not in item:
        raise wrong_structure()
    if not 0 <= index <= _MAX_INDEX:
        raise wrong_structure()
    return index, item["value"]
