"""Times in the format of all responses and logs; apart, because `localrun events` needs no web framework."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return the current time in UTC, always with six digits after the second."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def to_iso(seconds: float) -> str:
    """Return seconds since 1970 in the format of `now`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
