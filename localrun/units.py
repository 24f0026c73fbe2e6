"""Format and parse sizes and durations."""

from __future__ import annotations

import re

PREFIXES: dict[str, int] = {
    **{prefix: 1000**power for power, prefix in enumerate(["", *"kMGTPEZYRQ"])},
    **{f"{prefix}i": 1024**power for power, prefix in enumerate("KMGTPEZY", 1)},
}
_SIZE = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)\s*([kKMGTPE]i?|)[bB]?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)\s*(ms|s|m|h|d|)")


def format_bytes(size: float) -> str:
    """Return a size such as `1.5 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}".replace(".0 ", " ")
        size /= 1024
    return f"{size:.1f} TiB".replace(".0 ", " ")


def format_duration(seconds: float) -> str:
    """Return a duration such as `123 ms` or `1 min 15 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def format_count(number: int, noun: str, *, grouped: bool = False) -> str:
    """Return e.g. `1 problem` or `3000 problems`; `3,000 problems` if the digits are `grouped`."""
    digits = f"{number:,}" if grouped else str(number)
    return f"{digits} {noun}" if number == 1 else f"{digits} {noun}s"


def parse_bytes(text: str) -> int:
    """Parse `2Gi`, `512M`, `1.5 GiB` or `1048576`, with the prefixes of Kubernetes. Raises `ValueError`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or found[2] == "K":
        raise ValueError(f"invalid size {text!r}; expected e.g. 512Mi or 2Gi")
    return round(float(found[1]) * PREFIXES[found[2]])


def parse_duration(text: str) -> float:
    """Parse `90`, `90s`, `10m`, `1h` or `250ms` into seconds. Raises `ValueError`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        raise ValueError(f"invalid duration {text!r}; expected e.g. 90s, 10m or 1h")
    return float(found[1]) * _UNITS[found[2] or "s"]
