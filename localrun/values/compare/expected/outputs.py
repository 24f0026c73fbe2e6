"""Outputs against what was expected of them, each by its type and within its tolerance.

Numbers are compared as numbers, moments as moments, geometries as shapes, images by their pixels, and other
files by their bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localrun.descriptor.types import Array, DataType, File, Geometry, Image, format_value
from localrun.errors import Problem, UsageError
from localrun.suggestions import did_you_mean
from localrun.values.compare.expected import files, scalars
from localrun.values.compare.expected.difference import Difference, DiffImage, Findings
from localrun.values.compare.expected.paths import to_path
from localrun.values.compare.expected.tolerance import EXACT, Tolerance, parse_tolerances

__all__ = ["DiffImage", "Difference", "Tolerance", "compare", "parse_tolerances", "to_path"]


def compare(
    expected: Mapping[str, Any],
    outputs: Mapping[str, Any],
    types: Mapping[str, DataType],
    tolerances: Mapping[str, Tolerance] | None = None,
) -> list[Difference]:
    """Everything in which outputs differ from what was expected; empty when nothing does.

    Only what `expected` names is looked at; `None` there: the output must be absent. Files are paths, or
    `FileValue`, on both sides; the values of geometries may be GeoJSON objects, too. `types` are those of
    the descriptor's outputs. Raises `UsageError` with every name that is no output, and every file that is
    expected and not there.
    """
    _refuse_unknown(expected, types)
    findings = Findings("outputs")
    for name, want in expected.items():
        tolerance = (tolerances or {}).get(name, EXACT)
        _output(types[name], want, outputs.get(name), tolerance, findings.at(name))
    return findings.found


def _refuse_unknown(expected: Mapping[str, Any], types: Mapping[str, DataType]) -> None:
    names = f"the outputs are: {', '.join(types)}"
    problems = [
        Problem(f"expected.{name}", "is no output of the task", did_you_mean(name, types) or names)
        for name in expected
        if name not in types
    ]
    problems += [
        Problem(f"expected.{name}", f"{path} is not there", "add it, or write what came out as expected")
        for name, value in expected.items()
        if name in types
        for path in files.missing_files(types[name], value)
    ]
    if problems:
        raise UsageError(
            "what is expected cannot be read", remedy="correct what is listed", problems=problems
        )


def _output(kind: DataType, want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    if want is None:
        if got is not None:
            findings.add(f"is there ({format_value(got)}), and is not expected")
    elif got is None:
        findings.add("is not there, or does not fit the descriptor")
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

        images.compare(to_path(want), to_path(got), tolerance, findings)
    elif isinstance(kind, File):
        files.compare(to_path(want), to_path(got), tolerance, findings)
    else:
        scalars.compare(kind, want, got, tolerance, findings)


def _array(kind: Array, want: Any, got: Any, tolerance: Tolerance, findings: Findings) -> None:
    if not isinstance(want, list):
        findings.add(f"is a list, and {format_value(want)} is expected")
        return
    if len(want) != len(got):
        findings.add(f"has {len(got)} items, and {len(want)} are expected")
    for index, (one, other) in enumerate(zip(want, got, strict=False)):
        _value(kind.subtype, one, other, tolerance, findings.at(index))
