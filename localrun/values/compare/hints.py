"""What a difference between two runs of the same program looks like: guesses, for people."""

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
_CLOSE = 1e-5  # relative; beyond it two results are no rounding of each other
_TEMPORARY = re.compile(r"/tmp/\w*")  # noqa: S108 - a text to look for


@dataclass(frozen=True, slots=True)
class RunSample:
    """What one replica has at the place: the text there, the whole text if it is short, its first bytes."""

    excerpt: str
    full_text: str | None
    head: bytes
    varied: Mapping[str, str] = field(default_factory=dict)


def likely_causes(glimpses: Sequence[RunSample], offset: int) -> list[str]:
    """What is likely to have made them differ, the surest first; empty when nothing shows.

    `offset` is the first byte that differs.
    """
    return list(dict.fromkeys(_told(glimpses, offset)))


def _told(glimpses: Sequence[RunSample], offset: int) -> Iterator[str]:
    yield from _formats(glimpses[0].head, offset)
    here = [glimpse.excerpt for glimpse in glimpses]
    for name, what in (("hostname", "host name"), ("TZ", "time zone")):
        if all(name in glimpse.varied and glimpse.varied[name] in glimpse.excerpt for glimpse in glimpses):
            yield f"it holds the {what}"
    yield from _patterns(here)
    wholes = [glimpse.full_text for glimpse in glimpses]
    order = _order([whole for whole in wholes if whole is not None] if None not in wholes else here)
    if order:
        yield order
    elif _are_rounded(here):
        yield "the numbers differ in their last digits: sums whose order changes, as with threads, do so"


def _formats(head: bytes, offset: int) -> Iterator[str]:
    if head.startswith(b"\x1f\x8b") and 4 <= offset < 8:
        yield "gzip writes the time into its header: set it to 0 (`gzip -n`, `mtime=0`)"
    if head.startswith(b"PK\x03\x04"):
        yield "a zip keeps the times of its files, and their order: set both"
    if head.startswith(b"%PDF"):
        yield "a PDF holds the time when it was made, and an id"
    if head.startswith(b"\x89PNG") and offset > 8:
        yield "a PNG may hold the time when it was made"


def _patterns(here: Sequence[str]) -> Iterator[str]:
    looks = (
        (_RANDOM, "it holds an id that is drawn anew each time"),
        (_ADDRESS, "it holds the address of an object in memory"),
        (_DATE, "it holds a date or a time of day"),
        (_EPOCH, "it holds a time in seconds since 1970"),
        (_TEMPORARY, "it holds the name of a temporary file"),
    )
    for pattern, what in looks:
        found = [pattern.findall(text) for text in here]
        if all(found) and any(one != found[0] for one in found):
            yield what


def _order(texts: Sequence[str]) -> str:
    if _same_bag(text.splitlines() for text in texts):
        return "the same lines in another order: sort what comes out of a set, a dict, a folder or threads"
    if _same_bag(_SPLIT.split(text) for text in texts):
        return "the same words in another order: sort what comes out of a set, a dict, a folder or threads"
    return ""


def _same_bag(lists: Iterable[Sequence[str]]) -> bool:
    bags = [sorted(filter(None, items)) for items in lists]
    return len(bags[0]) > 1 and all(bag == bags[0] for bag in bags)


def _are_rounded(texts: Sequence[str]) -> bool:
    """Whether all texts are the same but for numbers, and those nearly are."""
    between = [_NUMBER.split(text) for text in texts]
    if any(parts != between[0] for parts in between):
        return False
    rows = [[float(number) for number in _NUMBER.findall(text)] for text in texts]
    pairs = [
        (one, other) for row in rows[1:] for one, other in zip(rows[0], row, strict=True) if one != other
    ]
    return bool(pairs) and all(math.isclose(one, other, rel_tol=_CLOSE) for one, other in pairs)
