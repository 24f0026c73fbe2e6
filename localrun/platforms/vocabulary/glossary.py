"""The words of four systems, and what they mean on one machine: tables only.

Nothing but names is imported here: a table is read when a word of it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localrun.errors import Cause
    from localrun.platforms.vocabulary.term import Term
    from localrun.platforms.vocabulary.translation import Translation
    from localrun.task.states import StepName, TaskState


def translate(state: TaskState, step: StepName | None, cause: Cause | None, system: str) -> Translation:
    """The words of `system`, one of `SYSTEMS`, for a task in this state and step, with this cause."""
    from localrun.platforms.vocabulary.translation import translate

    return translate(state, step, cause, system)


def terms(system: str | None = None) -> tuple[Term, ...]:
    """Every known word, or those of one system, in the order in which they are met."""
    from localrun.platforms.vocabulary.all_terms import ALL_TERMS

    return tuple(word for word in ALL_TERMS if system in (None, word.system))


def look_up(text: str) -> tuple[Term, ...]:
    """All meanings of a word; letter case and what separates its parts do not matter."""
    from localrun.platforms.vocabulary.term import normalize

    wanted = normalize(text)
    return tuple(word for word in terms() if wanted in map(normalize, word.spellings))


def find_terms(text: str) -> tuple[Term, ...]:
    """The words that a whole line holds, such as one of `kubectl describe`, in their order there.

    Of a word without parts, such as `Completed`, the letters must be the same, and no fewer than eight.
    """
    parts = _parts(text.casefold())
    exact = set(_parts(text))
    found: dict[str, tuple[int, Term]] = {}
    for word in terms():
        for name in word.spellings:
            place = _place(_parts(name.casefold()), parts)
            if place is not None and (len(_parts(name)) > 1 or (len(name) >= _LONG and name in exact)):
                found.setdefault(f"{word.system} {word.kind} {word.name}", (place, word))
    return tuple(word for _, word in sorted(found.values(), key=lambda one: one[0]))


def _parts(text: str) -> list[str]:
    import re

    return re.findall(r"[^\W_]+", text)


def _place(wanted: list[str], parts: list[str]) -> int | None:
    starts = range(len(parts) - len(wanted) + 1) if wanted else ()
    return next((start for start in starts if parts[start : start + len(wanted)] == wanted), None)


def closest_term(text: str) -> str | None:
    """The known word that looks most like `text`; None when none does."""
    from localrun.platforms.vocabulary.term import normalize
    from localrun.suggestions import closest

    # by their ends: what is compared may not be long, and the longest words differ there
    ends = {normalize(name)[-_LONGEST:]: name for word in terms() for name in word.spellings}
    found = closest(normalize(text)[-_LONGEST:], ends)
    return None if found is None else ends[found]


_LONGEST = 60
_LONG = 8
