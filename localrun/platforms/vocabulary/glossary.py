"""Look up the terms of all systems."""

from __future__ import annotations

import re

from localrun.platforms.vocabulary import (
    app_engine,
    enclave,
    iexec,
    iexec_causes,
    inductiva,
    kubernetes,
    local,
    task_system,
)
from localrun.platforms.vocabulary.term import Term, normalize
from localrun.suggestions import closest

_TABLES = (local, app_engine, kubernetes, inductiva, iexec, iexec_causes, enclave, task_system)
_ALL_TERMS: tuple[Term, ...] = tuple(term for table in _TABLES for term in table.TERMS)
_MAX_COMPARED = 60  # characters
_MIN_LENGTH = 8  # characters of a one-word term that is recognised inside a line


def terms(system: str | None = None) -> tuple[Term, ...]:
    """Return all terms, or those of one system, in the order in which users meet them."""
    return tuple(term for term in _ALL_TERMS if system in (None, term.system))


def look_up(text: str) -> tuple[Term, ...]:
    """Return all meanings of a term, ignoring letter case and separators."""
    wanted = normalize(text)
    return tuple(term for term in _ALL_TERMS if wanted in map(normalize, term.spellings))


def find_terms(text: str) -> tuple[Term, ...]:
    """Return the terms in a line of text, e.g. one of `kubectl describe`, in order of appearance.

    A one-word term such as `Completed` must match in letter case and have at least eight letters.
    """
    words = _split(text.casefold())
    exact = set(_split(text))
    found: dict[str, tuple[int, Term]] = {}
    for term in _ALL_TERMS:
        for name in term.spellings:
            position = _position(_split(name.casefold()), words)
            if position is None:
                continue
            if len(_split(name)) > 1 or (len(name) >= _MIN_LENGTH and name in exact):
                found.setdefault(f"{term.system} {term.kind} {term.name}", (position, term))
    return tuple(term for _, term in sorted(found.values(), key=lambda item: item[0]))


def _split(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def _position(wanted: list[str], words: list[str]) -> int | None:
    starts = range(len(words) - len(wanted) + 1) if wanted else ()
    return next((start for start in starts if words[start : start + len(wanted)] == wanted), None)


def closest_term(text: str) -> str | None:
    """Return the known term most similar to `text`, or None."""
    # compare the last characters only: the longest terms share their beginning
    ends = {normalize(name)[-_MAX_COMPARED:]: name for term in _ALL_TERMS for name in term.spellings}
    found = closest(normalize(text)[-_MAX_COMPARED:], ends)
    return None if found is None else ends[found]
