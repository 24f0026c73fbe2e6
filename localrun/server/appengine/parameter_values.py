"""The inputs and outputs of a run as JSON, read from its files."""

from __future__ import annotations

import math
from collections.abc import Collection, Container
from datetime import datetime, timedelta
from typing import Any

from localrun.descriptor.types import (
    Array,
    DataType,
    DateTime,
    Enumeration,
    File,
    Geometry,
    Image,
    Notes,
    Number,
    String,
    trim,
)
from localrun.descriptor.types.datetime import Instant, parse_instant
from localrun.values.collection import is_index
from localrun.values.untrusted import Parts, TreeEntry, UntrustedDir

_NULL = "null"
_MAX_TEXT = 64 * 1024**2  # bytes of a value, as many as a request may have
_BEGIN = datetime(1, 1, 1)


def find_name(names: Collection[str], name: str) -> str | None:
    """Return the name of a parameter without regard to case, as App Engine compares it."""
    if name in names:
        return name
    return next((one for one in names if one.lower() == name.lower()), None)


class ValueReader:
    """Reads the values of a run from the folder of its inputs or outputs.

    `nulls` are the inputs that were set to null, which a file does not tell apart from the string.
    """

    def __init__(
        self, tree: UntrustedDir, run_id: str, *, is_input: bool, nulls: Container[str] = ()
    ) -> None:
        self._tree = tree
        self._run_id = run_id
        self._is_input = is_input
        self._nulls = nulls

    def read(self, kind: DataType, name: str) -> dict[str, Any] | None:
        """Return a parameter as a ParameterValue; None if it has no file. Raises `UnsafePath`."""
        entry = self._tree.find((name,))
        if entry is None:
            return None
        if isinstance(kind, Array):
            return self._array(kind, entry, name)
        value = None if name in self._nulls else self._scalar(kind, entry)
        return {**self._head(kind, name), "value": value}

    def _head(self, kind: DataType, name: str) -> dict[str, Any]:
        return {"taskRunId": self._run_id, "parameterName": name, "type": kind.id.upper()}

    def _array(self, kind: Array, folder: TreeEntry, name: str) -> dict[str, Any]:
        """Return an array. An empty one has the value null and no subtype."""
        names = self._tree.list_names(folder) if folder.kind == "folder" else []
        indexes = sorted(filter(is_index, names), key=int)
        items = [self._item(kind.subtype, (*folder.parts, index), name) for index in indexes]
        found = {**self._head(kind, name), "value": items or None}
        return found | {"subType": kind.subtype.id.upper()} if items else found

    def _item(self, kind: DataType, parts: Parts, name: str) -> dict[str, Any]:
        """Return an item of an array, as App Engine writes it: a nested array is a whole ParameterValue."""
        entry = self._tree.find(parts)
        if entry is not None and isinstance(kind, Array):
            return self._array(kind, entry, self._item_name(name, parts[-1]))
        value = None if entry is None else self._scalar(kind, entry)
        return {"index": int(parts[-1])} | ({} if value is None else {"value": value})

    def _item_name(self, name: str, index: str) -> str:
        """Return App Engine's name of a nested array."""
        return f"{name}[{index}]" if self._is_input else f"{name}/{index}"

    def _scalar(self, kind: DataType, entry: TreeEntry) -> Any:
        if isinstance(kind, (File, Image)) or entry.kind != "file":
            return None
        text = self._tree.read(entry, _MAX_TEXT).decode(errors="replace")
        if not self._is_input:
            text = trim(text)  # as App Engine reads outputs
        if isinstance(kind, (String, Enumeration)):
            return text
        if text == _NULL:
            return None
        return text if isinstance(kind, Geometry) else _as_json(kind, trim(text))


def _as_json(kind: DataType, text: str) -> Any:
    if isinstance(kind, DateTime):
        moment = parse_instant(text)
        return moment and format_instant(moment)
    value = kind.parse(text, Notes(""))
    return format_number(value) if isinstance(kind, Number) and value is not None else value


def format_number(value: float) -> float | str:
    """Return a number as Java writes it in JSON: always a double, NaN and the infinities as words."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isnan(number):
        return "NaN"
    return number if math.isfinite(number) else ("Infinity" if number > 0 else "-Infinity")


def format_instant(moment: Instant) -> str:
    """Return an instant like Java: in UTC, with a fraction of 3, 6 or 9 digits if it has one."""
    seconds, nanoseconds = moment
    latest = (datetime.max - _BEGIN).total_seconds()
    # instants count days from 1; an offset may lead out of the years that Python knows
    whole = _BEGIN + timedelta(seconds=min(max(seconds - 86400, 0), latest // 1))
    digits = f"{nanoseconds:09d}"
    while digits.endswith("000") and digits:
        digits = digits[:-3]
    return f"{whole.isoformat()}{'.' if digits else ''}{digits}Z"
