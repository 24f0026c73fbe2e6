"""What somebody meant by a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

# a longer word is no slip of the finger, and comparing words costs the product of their lengths
_LONGEST = 64
_MOST = 500


def closest(word: str, words: Iterable[str]) -> str | None:
    """The known word that looks most like `word`, letter case aside; None when none does."""
    if len(word) > _LONGEST:
        return None
    from difflib import get_close_matches

    known = {one.lower(): one for one in islice(words, _MOST) if len(one) <= _LONGEST}
    found = get_close_matches(word.lower(), known, n=1)
    return known[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`did you mean 'integer'?`, or nothing when no word comes close."""
    found = closest(word, words)
    return f"did you mean {found!r}?" if found is not None else ""
