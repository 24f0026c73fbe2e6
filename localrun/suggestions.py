"""Suggestions for misspelled words."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

_MAX_LENGTH = 64  # the time to compare two words grows with the product of their lengths
_MAX_WORDS = 500


def closest(word: str, words: Iterable[str]) -> str | None:
    """Return the most similar of `words`, ignoring case, or None if none is similar."""
    if len(word) > _MAX_LENGTH:
        return None
    from difflib import get_close_matches

    known = {one.lower(): one for one in islice(words, _MAX_WORDS) if len(one) <= _MAX_LENGTH}
    found = get_close_matches(word.lower(), known, n=1)
    return known[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return a hint such as `did you mean 'integer'?`, or an empty string."""
    found = closest(word, words)
    return f"did you mean {found!r}?" if found is not None else ""
