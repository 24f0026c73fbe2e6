"""Values that are no files: numbers, moments, words."""

from __future__ import annotations

import math
from typing import Any

from localrun.descriptor.types import DataType, DateTime, Integer, Number, format_value
from localrun.descriptor.types.datetime import parse_instant
from localrun.values.compare.expected.difference import Findings
from localrun.values.compare.expected.tolerance import Tolerance

_RELATIVE = 1e-9  # what a number may differ by when nothing is said: the last digits differ between machines


def compare(kind: DataType, want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    """Say in what a value differs."""
    if isinstance(kind, (Integer, Number)):
        _numbers(kind, want, got, tolerance, findings)
    elif isinstance(kind, DateTime):
        _moments(want, got, tolerance, findings)
    elif want != got or isinstance(want, bool) is not isinstance(got, bool):
        findings.add(f"is {format_value(got)}, and {format_value(want)} is expected")


def are_close(want: float, got: float, tolerance: Tolerance, relative: float = 0.0) -> bool:
    """Whether two numbers are within a tolerance; not-a-number is close to itself."""
    if math.isnan(want) or math.isnan(got):
        return math.isnan(want) and math.isnan(got)
    share = relative if tolerance.relative is None else tolerance.relative
    return math.isclose(want, got, rel_tol=share, abs_tol=tolerance.absolute)


def _numbers(kind: DataType, want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    one, other = _number(want), _number(got)
    if one is None or other is None:
        findings.add(f"is {format_value(got)}, and {format_value(want)} is expected, which is no number")
    elif not are_close(one, other, tolerance, _RELATIVE if isinstance(kind, Number) else 0.0):
        apart = f": {abs(one - other):g} apart" if math.isfinite(one - other) else ""
        findings.add(f"is {format_value(got)}, and {format_value(want)} is expected{apart}{_said(tolerance)}")


def _number(value: Any) -> float | None:
    """JSON has no words for nan and the infinities: they are texts."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _said(tolerance: Tolerance) -> str:
    parts = [f"{tolerance.absolute:g}"] if tolerance.absolute else []
    parts += [f"{tolerance.relative:g} of it"] if tolerance.relative else []
    return f", allowed are {' or '.join(parts)}" if parts else ""


def _moments(want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    one, other = (parse_instant(str(value)) for value in (want, got))
    if one is None or other is None:
        findings.add(
            f"is {format_value(got)}, and {format_value(want)} is expected, which is no datetime with a zone"
        )
        return
    apart = abs(one[0] - other[0] + (one[1] - other[1]) / 1e9)
    if apart > tolerance.seconds:
        findings.add(f"is {got}, and {want} is expected: {apart:g} s apart")
