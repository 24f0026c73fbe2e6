"""Integers and numbers, their ranges, and their spelling in Java."""

from __future__ import annotations

import math
import re
from numbers import Integral, Real
from typing import Any, ClassVar

from localrun.descriptor.types.base import DataType, Notes, format_value, type_mismatch

_MIN, _MAX = -(2**31), 2**31 - 1  # App Engine: 32 bits
_BASES = (
    (r"[-+]?[0-9]+", 10),
    (r"[-+]?0[bB]_?[01]+(?:_[01]+)*", 2),
    (r"[-+]?0[oO]_?[0-7]+(?:_[0-7]+)*", 8),
    (r"[-+]?0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*", 16),
    (r"[-+]?[0-9]+(?:_[0-9]+)+", 10),
)
_MAX_DIGITS = 400
_DECIMAL = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_HEXADECIMAL = r"[-+]?0[xX](?:[0-9a-fA-F]+\.?|[0-9a-fA-F]*\.[0-9a-fA-F]+)[pP][-+]?[0-9]+"
_JAVA_WORDS = {f"{sign}{word}" for sign in ("", "+", "-") for word in ("NaN", "Infinity")}
_WORDS = ("nan", "inf", "-inf")  # in any letter case
_NO_BOUNDS = (None,) * 4


class _Ranged(DataType, frozen=True):
    """A type with bounds; a bound of None does not apply."""

    gt: float | None = None
    lt: float | None = None
    geq: float | None = None
    leq: float | None = None

    def check_range(self, value: float, notes: Notes) -> None:
        """Report a value outside of the bounds; NaN satisfies every bound (App Engine)."""
        if (self.gt, self.lt, self.geq, self.leq) == _NO_BOUNDS:
            return
        shown = format_value(value)
        if self.gt is not None and value <= self.gt:
            notes.error(f"{shown} is not greater than {self.gt}", f"use a value greater than {self.gt}")
        if self.geq is not None and value < self.geq:
            notes.error(f"{shown} is less than {self.geq}", f"use a value of at least {self.geq}")
        if self.lt is not None and value >= self.lt:
            notes.error(f"{shown} is not less than {self.lt}", f"use a value less than {self.lt}")
        if self.leq is not None and value > self.leq:
            notes.error(f"{shown} is greater than {self.leq}", f"use a value of at most {self.leq}")


class Integer(_Ranged, frozen=True):
    """A 32-bit integer."""

    id: ClassVar[str] = "integer"

    def validate(self, value: Any, notes: Notes) -> int | None:
        """Check an integer. `3.0` is accepted with a warning, booleans and strings never."""
        if isinstance(value, Real) and not isinstance(value, Integral) and float(value).is_integer():
            notes.warn_divergence("integer_fraction")
            value = int(float(value))
        if isinstance(value, bool) or not isinstance(value, Integral):
            remedy = "remove the quotes" if isinstance(value, str) else "use a whole number"
            notes.error(type_mismatch(value, "an integer"), remedy)
            return None
        return self._checked(int(value), notes)

    def parse(self, text: str, notes: Notes) -> int | None:
        """Check decimal digits. Base 2, 8 and 16 and `_` are accepted with a warning."""
        for pattern, base in _BASES:
            if len(text) <= _MAX_DIGITS and re.fullmatch(pattern, text):
                if base != 10 or "_" in text:
                    notes.warn_divergence("integer_spelling")
                return self._checked(int(text, base), notes)
        notes.error(f"invalid integer {format_value(text)}", "expected e.g. 42")
        return None

    def _checked(self, value: int, notes: Notes) -> int | None:
        if not _MIN <= value <= _MAX:
            notes.error(f"{format_value(value)} is out of range", f"use a value from {_MIN} to {_MAX}")
            return None
        self.check_range(value, notes)
        return value


class Number(_Ranged, frozen=True):
    """A double-precision number."""

    id: ClassVar[str] = "number"
    infinity_allowed: bool = False
    nan_allowed: bool = False

    def validate(self, value: Any, notes: Notes) -> int | float | str | None:
        """Check a number, or a string of one, which is passed to the task unchanged (App Engine)."""
        if isinstance(value, str):
            return None if self.parse(value, notes) is None else value
        if isinstance(value, bool) or not isinstance(value, Real):
            notes.error(type_mismatch(value, "a number"), "use a number")
            return None
        try:
            number = int(value) if isinstance(value, Integral) else float(value)
            float(number)
        except OverflowError:
            notes.error(f"{format_value(value)} is out of range", "use a smaller number")
            return None
        self._check(number, notes)
        return number

    def parse(self, text: str, notes: Notes) -> int | float | None:
        """Check a number in Java's spellings, or nan, inf, -inf in any letter case, as App Engine does."""
        found = _parse(text)
        if found is None:
            notes.error(f"invalid number {format_value(text)}", "expected e.g. 1.5, 2e-3, nan, inf")
            return None
        self._check(found, notes)
        return found

    def _check(self, value: float, notes: Notes) -> None:
        if math.isnan(value):
            if not self.nan_allowed:
                notes.error("nan is not allowed", "use a number, or set nan_allowed: true")
            return
        if math.isinf(value) and not self.infinity_allowed:
            notes.error("infinity is not allowed", "use a finite number, or set infinity_allowed: true")
            return
        self.check_range(value, notes)

    def to_text(self, value: Any) -> str:
        """Return the text that App Engine would write: `5`, `-5.5`, `1.0E10`, `nan`."""
        return _format_java(value) if isinstance(value, float) else str(value)

    def to_json(self, value: Any) -> Any:
        """Return the number, or the strings `nan`, `inf` or `-inf`, which JSON numbers cannot express."""
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def is_java_number(text: str) -> bool:
    """Return whether Java's `Double.parseDouble` reads the text, as App Engine's arrays require."""
    return text in _JAVA_WORDS or text.lower() not in _WORDS


def _parse(text: str) -> int | float | None:
    text = text.strip()
    if text.lower() in _WORDS or text in _JAVA_WORDS:
        return float(text)
    if len(text) <= _MAX_DIGITS and re.fullmatch(r"[-+]?[0-9]+", text):
        number = int(text)
        return number if abs(number) < 10**308 else float(text)
    # a Java literal may end in f or d; in hexadecimal they are digits unless there is an exponent
    bare = text[:-1] if text[-1:] in ("d", "D", "f", "F") else text
    if re.fullmatch(_DECIMAL, bare):
        return float(bare)
    return _from_hex(bare) if re.fullmatch(_HEXADECIMAL, bare) else None


def _from_hex(text: str) -> float:
    try:
        return float.fromhex(text)
    except OverflowError:
        return -math.inf if text.startswith("-") else math.inf


def _format_java(value: float) -> str:
    """Format a number like Java's `Double.toString`, but nan and infinity like App Engine's documentation."""
    text = repr(value)
    if not math.isfinite(value) or value == 0 or 1e-3 <= abs(value) < 1e7:
        return text
    mantissa, _, exponent = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    power = len(whole) - (len(whole + fraction) - len(digits)) - 1 + int(exponent or 0)
    digits = digits.rstrip("0")
    return f"{'-' if value < 0 else ''}{digits[0]}.{digits[1:] or '0'}E{power}"
