"""Guess why the outputs of two runs of a program differ."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_DATE = re.compile(r"\b(?:19|20)\d\d-[01]\d-[0-3]\d|\b[0-2]?\d:[0-5]\d:[0-5]\d\b|\b(?:19|20)\d{6}T?\d{0,6}\b")
_EPOCH = re.compile(r"\b1\d{9}(?:\d{3}|\d{6}|\d{9})?\b|\b1\d{9}\.\d+")
_RANDOM = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b", re.IGNORECASE
)
_ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,16}\b", re.IGNORECASE)
_SPLIT = re.compile(r"[^\w.+-]+")
_NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
_CLOSE = 1e-5  # relative; larger differences are not caused by rounding
_TEMPORARY = re.compile(r"/tmp/\w*")  # noqa: S108 - a pattern to find


@dataclass(frozen=True, slots=True)
class RunSample:
    """One replica's output around the difference, its full text if short, and its first bytes."""

    excerpt: str
    full_text: str | None
    head: bytes
    varied: Mapping[str, str] = field(default_factory=dict)


def likely_causes(samples: Sequence[RunSample], offset: int) -> list[str]:
    """Return likely causes of the difference at `offset`, most likely first."""
    return list(dict.fromkeys(_causes(samples, offset)))


def _causes(samples: Sequence[RunSample], offset: int) -> Iterator[str]:
    yield from _formats(samples[0].head, offset)
    excerpts = [sample.excerpt for sample in samples]
    for name, what in (("hostname", "host name"), ("TZ", "time zone")):
        if all(name in sample.varied and sample.varied[name] in sample.excerpt for sample in samples):
            yield f"it contains the {what}"
    yield from _patterns(excerpts)
    texts = [sample.full_text for sample in samples]
    order = _order([text for text in texts if text is not None] if None not in texts else excerpts)
    if order:
        yield order
    elif _are_rounded(excerpts):
        yield "the numbers differ in their last digits, as sums do if their order changes, e.g. with threads"


def _formats(head: bytes, offset: int) -> Iterator[str]:
    if head.startswith(b"\x1f\x8b") and 4 <= offset < 8:
        yield "gzip writes the time to its header; set it to 0 (`gzip -n`, `mtime=0`)"
    if head.startswith(b"PK\x03\x04"):
        yield "a zip contains the times and the order of its files; set both"
    if head.startswith(b"%PDF"):
        yield "a PDF contains its creation time and an id"
    if head.startswith(b"\x89PNG") and offset > 8:
        yield "a PNG may contain its creation time"


def _patterns(excerpts: Sequence[str]) -> Iterator[str]:
    patterns = (
        (_RANDOM, "it contains a random id"),
        (_ADDRESS, "it contains a memory address"),
        (_DATE, "it contains a date or a time of day"),
        (_EPOCH, "it contains a Unix timestamp"),
        (_TEMPORARY, "it contains the name of a temporary file"),
    )
    for pattern, what in patterns:
        found = [pattern.findall(text) for text in excerpts]
        if all(found) and any(one != found[0] for one in found):
            yield what


def _order(texts: Sequence[str]) -> str:
    if _same_items(text.splitlines() for text in texts):
        return "the same lines in another order; sort the items of sets, dicts, folders or threads"
    if _same_items(_SPLIT.split(text) for text in texts):
        return "the same words in another order; sort the items of sets, dicts, folders or threads"
    return ""


def _same_items(lists: Iterable[Sequence[str]]) -> bool:
    sorted_lists = [sorted(filter(None, items)) for items in lists]
    return len(sorted_lists[0]) > 1 and all(items == sorted_lists[0] for items in sorted_lists)


def _are_rounded(texts: Sequence[str]) -> bool:
    """Return whether the texts differ only in numbers, and only by rounding."""
    between = [_NUMBER.split(text) for text in texts]
    if any(parts != between[0] for parts in between):
        return False
    rows = [[float(number) for number in _NUMBER.findall(text)] for text in texts]
    pairs = [
        (one, other) for row in rows[1:] for one, other in zip(rows[0], row, strict=True) if one != other
    ]
    return bool(pairs) and all(math.isclose(one, other, rel_tol=_CLOSE) for one, other in pairs)
