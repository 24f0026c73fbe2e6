"""Compare values that are not files: numbers, datetimes and strings."""

from __future__ import annotations

import math
from typing import Any

from localrun.descriptor.types import DataType, DateTime, Integer, Number, format_value
from localrun.descriptor.types.datetime import parse_instant
from localrun.values.compare.expected.difference import Findings
from localrun.values.compare.expected.tolerance import Tolerance

_RELATIVE = 1e-9  # the default for numbers, since the last digits differ between machines


def compare(kind: DataType, want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    if isinstance(kind, (Integer, Number)):
        _numbers(kind, want, got, tolerance, findings)
    elif isinstance(kind, DateTime):
        _datetimes(want, got, tolerance, findings)
    elif want != got or isinstance(want, bool) is not isinstance(got, bool):
        findings.add(_mismatch(want, got))


def are_close(want: float, got: float, tolerance: Tolerance, relative: float = 0.0) -> bool:
    """Return whether two numbers are within a tolerance. NaN is close to itself."""
    if math.isnan(want) or math.isnan(got):
        return math.isnan(want) and math.isnan(got)
    share = relative if tolerance.relative is None else tolerance.relative
    return math.isclose(want, got, rel_tol=share, abs_tol=tolerance.absolute)


def _numbers(kind: DataType, want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    one, other = _number(want), _number(got)
    if one is None or other is None:
        findings.add(f"{_mismatch(want, got)}; both must be numbers")
    elif not are_close(one, other, tolerance, _RELATIVE if isinstance(kind, Number) else 0.0):
        apart = f" ({abs(one - other):g} apart)" if math.isfinite(one - other) else ""
        findings.add(f"{_mismatch(want, got)}{apart}{_format_tolerance(tolerance)}")


def _mismatch(want: Any, got: Any) -> str:
    return f"expected {format_value(want)}, got {format_value(got)}"


def _number(value: Any) -> float | None:
    """Return a value as a number, if it is one. JSON has NaN and infinities only as strings."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _format_tolerance(tolerance: Tolerance) -> str:
    parts = [f"{tolerance.absolute:g}"] if tolerance.absolute else []
    parts += [f"{tolerance.relative:g} of the value"] if tolerance.relative else []
    return f"; tolerance: {' or '.join(parts)}" if parts else ""


def _datetimes(want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    one, other = (parse_instant(str(value)) for value in (want, got))
    if one is None or other is None:
        findings.add(f"{_mismatch(want, got)}; both must be datetimes with a time zone")
        return
    apart = abs(one[0] - other[0] + (one[1] - other[1]) / 1e9)
    if apart > tolerance.seconds:
        findings.add(f"expected {want}, got {got} ({apart:g} s apart)")
