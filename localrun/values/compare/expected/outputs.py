"""Compare outputs with expected values, by type and within a tolerance.

Numbers are compared as numbers, datetimes as instants, geometries as shapes, images by pixels, and other
files by bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localrun.descriptor.types import Array, DataType, File, Geometry, Image, format_value
from localrun.errors import Problem, UsageError
from localrun.suggestions import did_you_mean
from localrun.units import format_count
from localrun.values.compare.expected import files, scalars
from localrun.values.compare.expected.difference import Difference, DiffImage, Findings
from localrun.values.compare.expected.tolerance import EXACT, Tolerance, parse_tolerances

__all__ = ["DiffImage", "Difference", "Tolerance", "compare", "parse_tolerances"]


def compare(
    expected: Mapping[str, Any],
    outputs: Mapping[str, Any],
    types: Mapping[str, DataType],
    tolerances: Mapping[str, Tolerance] | None = None,
) -> list[Difference]:
    """Return all differences between outputs and expected values.

    Only the outputs in `expected` are compared; None means that the output must be absent. Files are paths or
    `FileValue` on both sides. Geometries may also be GeoJSON objects. `types` are those of the descriptor's
    outputs. Raises `UsageError` with every unknown output and every missing expected file.
    """
    _check_expected(expected, types)
    findings = Findings("outputs")
    for name, want in expected.items():
        tolerance = (tolerances or {}).get(name, EXACT)
        _output(types[name], want, outputs.get(name), tolerance, findings.child(name))
    return findings.found


def _check_expected(expected: Mapping[str, Any], types: Mapping[str, DataType]) -> None:
    names = f"expected one of: {', '.join(types)}"
    problems = [
        Problem(f"expected.{name}", f"unknown output {name!r}", did_you_mean(name, types) or names)
        for name in expected
        if name not in types
    ]
    problems += [
        Problem(f"expected.{name}", f"{path} does not exist", "add it, or save the actual output as expected")
        for name, value in expected.items()
        if name in types
        for path in files.missing_files(types[name], value)
    ]
    if problems:
        raise UsageError("invalid expected outputs", remedy="fix the problems listed", problems=problems)


def _output(kind: DataType, want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    if want is None:
        if got is not None:
            findings.add(f"expected no output, got {format_value(got)}")
    elif got is None:
        findings.add("missing or invalid output")
    elif not tolerance.ignore:
        _value(kind, want, got, tolerance, findings)


def _value(kind: DataType, want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    if isinstance(kind, Array):
        _array(kind, want, got, tolerance, findings)
    elif isinstance(kind, Geometry):
        from localrun.values.compare.expected import geometries

        geometries.compare(want, got, tolerance, findings)
    elif isinstance(kind, Image):
        from localrun.values.compare.expected import images

        images.compare(files.to_path(want), files.to_path(got), tolerance, findings)
    elif isinstance(kind, File):
        files.compare(files.to_path(want), files.to_path(got), tolerance, findings)
    else:
        scalars.compare(kind, want, got, tolerance, findings)


def _array(kind: Array, want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    if not isinstance(want, list):
        findings.add(f"expected {format_value(want)}, got a list")
        return
    if len(want) != len(got):
        findings.add(f"expected {format_count(len(want), 'item')}, got {len(got)}")
    for index, (one, other) in enumerate(zip(want, got, strict=False)):
        _value(kind.subtype, one, other, tolerance, findings.child(index))
