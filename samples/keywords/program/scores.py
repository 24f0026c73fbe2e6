"""Score words by tf-idf: frequent in a text, rare in the others."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST = 3  # letters of a keyword
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")


@dataclass(frozen=True)
class Keyword:
    """A word, its count in the text, and its score."""

    word: str
    count: int
    score: float


def words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return [word.casefold() for word in _WORD.findall(text)]


def keywords(texts: Sequence[Sequence[str]], left_out: frozenset[str], *, top: int) -> list[list[Keyword]]:
    """Return the best words of each text, best first, ties in alphabetical order.

    A word scores its share of the text, times how rare it is among the texts. One that all have counts least,
    but something: a single text has keywords, too.
    """
    counts = [Counter(word for word in text if _counts(word, left_out)) for text in texts]
    spread = Counter(word for count in counts for word in count)
    rarity = {word: math.log((1 + len(texts)) / (1 + times)) + 1 for word, times in spread.items()}
    found = []
    for text, count in zip(texts, counts, strict=True):
        scored = [Keyword(word, times, times / len(text) * rarity[word]) for word, times in count.items()]
        found.append(sorted(scored, key=lambda one: (-one.score, one.word))[:top])
    return found


def _counts(word: str, left_out: frozenset[str]) -> bool:
    return len(word) >= SHORTEST and word not in left_out
