"""Files by their bytes, texts by their lines, and the numbers in texts within a tolerance."""

from __future__ import annotations

import difflib
import filecmp
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localrun.comparison.difference import Findings
from localrun.comparison.place import path_in
from localrun.comparison.scalars import are_close
from localrun.comparison.tolerance import Tolerance
from localrun.datatypes import Array, DataType, File, Geometry, Image
from localrun.sizes import show_bytes
from localrun.values import FileValue

_TEXT = 4 * 1024**2  # bytes of a text that is looked into
_CHUNK = 1024**2
_LINES = 24  # lines shown of a difference
_WIDTH = 160  # characters shown of a line
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")


def missing(kind: DataType, value: Any) -> Iterator[Path]:
    """The files that a value names and that are not there."""
    if isinstance(kind, Array):
        for item in value if isinstance(value, list) else ():
            yield from missing(kind.subtype, item)
    elif isinstance(value, FileValue) or (isinstance(kind, (File, Image)) and value is not None):
        path = path_in(value)
        if not path.exists():
            yield path
    elif isinstance(kind, Geometry) and isinstance(value, Path) and not value.exists():
        yield value


def compare(want: Path, got: Path, tolerance: Tolerance, findings: Findings) -> None:
    """Say in what a file or a folder differs."""
    if want.is_dir() or got.is_dir():
        _folders(want, got, tolerance, findings)
    elif not filecmp.cmp(want, got, shallow=False):
        _contents(want, got, tolerance, findings)


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


def _contents(want: Path, got: Path, tolerance: Tolerance, findings: Findings) -> None:
    texts = [_text(path) for path in (want, got)]
    if texts[0] is None or texts[1] is None:
        findings.add(_bytes(want, got))
        return
    lines = [text.splitlines() for text in texts if text is not None]
    far = _far(lines[0], lines[1], tolerance)
    if far is None:
        return
    shown = list(difflib.unified_diff(lines[0], lines[1], "expected", "found", lineterm="", n=1))
    more = [f"... and {len(shown) - _LINES} lines more"] if len(shown) > _LINES else []
    details = (*(line[:_WIDTH] for line in shown[:_LINES]), *more)
    findings.add(f"differs from {want.name} from line {far} on", details)


def _text(path: Path) -> str | None:
    if path.stat().st_size > _TEXT:
        return None
    data = path.read_bytes()
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _far(want: list[str], got: list[str], tolerance: Tolerance) -> int | None:
    """The number of the first line that differs by more than it may; None when there is none."""
    within = bool(tolerance.absolute or tolerance.relative)
    for number, (one, other) in enumerate(zip(want, got, strict=False), 1):
        if one != other and not (within and _line_is_close(one, other, tolerance)):
            return number
    if len(want) == len(got) and within:
        return None
    return min(len(want), len(got)) + (len(want) != len(got))


def _line_is_close(want: str, got: str, tolerance: Tolerance) -> bool:
    ones, others = _NUMBER.split(want), _NUMBER.split(got)
    if len(ones) != len(others) or ones[::2] != others[::2]:  # what stands between the numbers
        return False
    pairs = zip(ones[1::2], others[1::2], strict=True)
    return all(are_close(float(one), float(other), tolerance) for one, other in pairs)


def _bytes(want: Path, got: Path) -> str:
    sizes = [path.stat().st_size for path in (got, want)]
    if sizes[0] != sizes[1]:
        place = f"{show_bytes(sizes[0])} ({sizes[0]} bytes), and {sizes[1]} are expected"
        return f"has {place}; the first byte that differs is number {_first(want, got)}"
    return f"differs from {want.name} from byte {_first(want, got)} on (of {sizes[0]})"


def _first(want: Path, got: Path) -> int:
    """The first byte that differs, from 0."""
    place = 0
    with want.open("rb") as one, got.open("rb") as other:
        while True:
            ours, theirs = one.read(_CHUNK), other.read(_CHUNK)
            if ours != theirs:
                both = enumerate(zip(ours, theirs, strict=False))
                inner = (index for index, (left, right) in both if left != right)
                return place + next(inner, min(len(ours), len(theirs)))
            if not ours:
                return place
            place += len(ours)
