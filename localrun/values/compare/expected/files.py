"""Files by their bytes, texts by their lines, and the numbers in texts within a tolerance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.values import FileValue
from localrun.values.compare.expected.difference import Findings
from localrun.values.compare.expected.paths import to_path
from localrun.values.compare.expected.scalars import are_close
from localrun.values.compare.expected.tolerance import Tolerance
from localrun.values.compare.file_contents import diff_contents

_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")


def missing_files(kind: DataType, value: Any) -> Iterator[Path]:
    """The files that a value names and that are not there."""
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
    """Say in what a file or a folder differs."""
    if want.is_dir() or got.is_dir():
        _folders(want, got, tolerance, findings)
        return
    with want.open("rb") as one, got.open("rb") as other:
        found = diff_contents(one, other)
    if found is None:
        return
    note, is_text = found.summary, bool(found.line)
    if is_text and (tolerance.absolute or tolerance.relative):
        far = _far(want, got, tolerance)
        if far is None:
            return
        note = f"differs in line {far} by more than it may"
    findings.add(f"{note}; - is expected, + was found" if is_text else note, found.details)


def _folders(want: Path, got: Path, tolerance: Tolerance, findings: Findings) -> None:
    ours, theirs = _names(got), _names(want)
    if ours is None or theirs is None:
        kinds = ("a file" if names is None else "a folder" for names in (ours, theirs))
        findings.add("is {}, and {} is expected".format(*kinds))
        return
    for name in sorted(ours ^ theirs):
        what = "is not expected" if name in ours else "is expected, and is not there"
        findings.at(name).add(what)
    for name in sorted(ours & theirs):
        compare(want / name, got / name, tolerance, findings.at(name))


def _names(folder: Path) -> set[str] | None:
    if not folder.is_dir():
        return None
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def _far(want: Path, got: Path, tolerance: Tolerance) -> int | None:
    """The number of the first line that differs by more than it may; None when there is none."""
    wanted, found = (path.read_text("utf-8").splitlines() for path in (want, got))
    for number, (one, other) in enumerate(zip(wanted, found, strict=False), 1):
        if one != other and not _line_is_close(one, other, tolerance):
            return number
    return None if len(wanted) == len(found) else min(len(wanted), len(found)) + 1


def _line_is_close(want: str, got: str, tolerance: Tolerance) -> bool:
    ones, others = _NUMBER.split(want), _NUMBER.split(got)
    if len(ones) != len(others) or ones[::2] != others[::2]:  # what stands between the numbers
        return False
    pairs = zip(ones[1::2], others[1::2], strict=True)
    return all(are_close(float(one), float(other), tolerance) for one, other in pairs)
