"""Datetimes, in the format of Java's `Instant.parse`."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from localrun.descriptor.types.base import DataType, Notes, format_value, type_mismatch

_INSTANT = (
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([-+])([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?)"
)
_REMEDY = "expected a time zone, e.g. 2024-02-23T18:00:00Z or 2024-02-23T19:00:00+01:00"

# (whole seconds since year 1 in UTC, nanoseconds): sortable
Instant = tuple[float, int]


def parse_instant(text: str) -> Instant | None:
    """Return a comparable instant, or None if the text is invalid. A time zone is required."""
    found = re.fullmatch(_INSTANT, text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    try:
        # datetime cannot check the time: 24:00:00 is the end of a day, and :60 a leap second
        days = date(year, month, day).toordinal()
    except ValueError:
        return None
    offset = _offset(found[8], found[9], found[10], found[11])
    is_time = hour < 24 and minute < 60 and second < 60
    if offset is None or not (is_time or (hour, minute, second) in ((24, 0, 0), (23, 59, 60))):
        return None
    nanoseconds = int((found[7] or "0").ljust(9, "0"))
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset.total_seconds()
    return seconds, nanoseconds


def _offset(sign: str | None, hours: str, minutes: str, seconds: str | None) -> timedelta | None:
    if sign is None:
        return timedelta()
    if int(minutes) >= 60 or int(seconds or 0) >= 60:
        return None
    size = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0))
    if size > timedelta(hours=18):  # the maximum in Java
        return None
    return -size if sign == "-" else size


class DateTime(DataType, frozen=True):
    """A datetime, kept as written. The bounds `before` and `after` are inclusive."""

    id: ClassVar[str] = "datetime"
    before: str | None = None
    after: str | None = None

    def validate(self, value: Any, notes: Notes) -> str | None:
        if isinstance(value, datetime):
            value = value.isoformat().replace("+00:00", "Z")
        if not isinstance(value, str):
            notes.error(type_mismatch(value, "a datetime"), _REMEDY)
            return None
        return self.parse(value, notes)

    def parse(self, text: str, notes: Notes) -> str | None:
        moment = parse_instant(text)
        if moment is None:
            notes.error(f"invalid datetime {format_value(text)}", _REMEDY)
            return None
        self._check(text, moment, notes)
        return text

    def _check(self, text: str, moment: Instant, notes: Notes) -> None:
        before, after = (parse_instant(bound) if bound else None for bound in (self.before, self.after))
        if before is not None and moment > before:
            notes.error(f"{text} is later than {self.before}", f"use at latest {self.before}")
        if after is not None and moment < after:
            notes.error(f"{text} is earlier than {self.after}", f"use at earliest {self.after}")
