"""Compare files by bytes, texts by lines, and numbers in texts within a tolerance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.values import FileValue
from localrun.values.compare.expected.difference import Findings
from localrun.values.compare.expected.scalars import are_close
from localrun.values.compare.expected.tolerance import Tolerance
from localrun.values.compare.file_contents import diff_contents

_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")


def to_path(value: Any) -> Path:
    """Return the path of a file value, which is a `FileValue` or a path."""
    return value.path if isinstance(value, FileValue) else Path(value)


def missing_files(kind: DataType, value: Any) -> Iterator[Path]:
    """Yield the files in a value that do not exist."""
    if isinstance(kind, Array):
        for item in value if isinstance(value, list) else ():
            yield from missing_files(kind.subtype, item)
    elif isinstance(value, FileValue) or (isinstance(kind, (File, Image)) and value is not None):
        path = to_path(value)
        if not path.exists():
            yield path
    elif isinstance(kind, Geometry) and isinstance(value, Path) and not value.exists():
        yield value


def compare(want: Path, got: Path, tolerance: Tolerance, findings: Findings) -> None:
    if want.is_dir() or got.is_dir():
        _folders(want, got, tolerance, findings)
        return
    with want.open("rb") as one, got.open("rb") as other:
        found = diff_contents(one, other)
    if found is None:
        return
    summary, is_text = found.summary, bool(found.line)
    if is_text and (tolerance.absolute or tolerance.relative):
        line = _first_distant_line(want, got, tolerance)
        if line is None:
            return
        summary = f"differs in line {line} by more than the tolerance"
    findings.add(f"{summary}; - is expected, + is actual" if is_text else summary, found.details)


def _folders(want: Path, got: Path, tolerance: Tolerance, findings: Findings) -> None:
    expected, actual = _names(want), _names(got)
    if expected is None or actual is None:
        kinds = ("a file" if names is None else "a folder" for names in (expected, actual))
        findings.add("expected {}, got {}".format(*kinds))
        return
    for name in sorted(expected ^ actual):
        findings.child(name).add("unexpected file" if name in actual else "missing file")
    for name in sorted(expected & actual):
        compare(want / name, got / name, tolerance, findings.child(name))


def _names(folder: Path) -> set[str] | None:
    if not folder.is_dir():
        return None
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def _first_distant_line(want: Path, got: Path, tolerance: Tolerance) -> int | None:
    """Return the number of the first line that differs by more than the tolerance; None if none does."""
    wanted, found = (path.read_text("utf-8").splitlines() for path in (want, got))
    for number, (one, other) in enumerate(zip(wanted, found, strict=False), 1):
        if one != other and not _line_is_close(one, other, tolerance):
            return number
    return None if len(wanted) == len(found) else min(len(wanted), len(found)) + 1


def _line_is_close(want: str, got: str, tolerance: Tolerance) -> bool:
    ones, others = _NUMBER.split(want), _NUMBER.split(got)
    if len(ones) != len(others) or ones[::2] != others[::2]:  # the text between the numbers
        return False
    pairs = zip(ones[1::2], others[1::2], strict=True)
    return all(are_close(float(one), float(other), tolerance) for one, other in pairs)
