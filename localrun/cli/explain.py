"""`localrun explain`: what a state, step, cause or status means in localrun and four other systems."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.exit_codes import code_for_cause
from localrun.console.streams import print_json, print_out
from localrun.errors import Cause, UsageError
from localrun.platforms.vocabulary import glossary, translate
from localrun.platforms.vocabulary.systems import LOCALRUN, SYSTEMS, TITLES
from localrun.platforms.vocabulary.term import Term, normalize
from localrun.task.states import StepName

if TYPE_CHECKING:
    from localrun.platforms.vocabulary.term import Situation
    from localrun.platforms.vocabulary.translation import Translation

_MAX_SUGGESTIONS = 6
_MIN_WIDTH, _MAX_WIDTH = 40, 100
_RESPONSIBLE = {
    "user": "the user who submits the task",
    "task": "the author of the task's program",
    "host": "the owner of this machine",
}


@click.command()
@click.argument("words", metavar="[WORD]", nargs=-1, shell_complete=options.completer("terms"))
@click.option(
    "--system", type=click.Choice((LOCALRUN, *SYSTEMS)), help="Search only the terms of this system."
)
@options.as_json
def command(words: tuple[str, ...], system: str | None, *, as_json: bool) -> None:
    """Explain WORD: a state, step, cause or error code, or a status of another system.

    Covers the terms of localrun, App Engine, Inductiva, iExec and the Task System. Letter case, spaces, `-`
    and `_` do not matter. WORD may also be a whole log line: the terms in it are explained. Without WORD,
    all terms are listed.
    """
    word = " ".join(words)
    found = _find(word, system) if word.strip() else glossary.terms(system)
    if as_json:
        print_json({"word": word or None, "meanings": [_fields(term) for term in found]})
    elif word.strip():
        print_out("\n\n".join("\n".join(_wrap(_describe(term))) for term in found))
    else:
        print_out("\n".join(_list(found)))


def _wrap(lines: Iterable[str]) -> Iterator[str]:
    """Wrap lines to the width of the terminal; continuation lines are indented."""
    width = max(_MIN_WIDTH, min(_MAX_WIDTH, shutil.get_terminal_size((_MAX_WIDTH, 24)).columns))
    wrapper = textwrap.TextWrapper(width, "", "    ", break_long_words=False, break_on_hyphens=False)
    for line in lines:
        yield from wrapper.wrap(line)


def _find(word: str, system: str | None) -> tuple[Term, ...]:
    found = glossary.look_up(word) or glossary.find_terms(word)
    chosen = tuple(term for term in found if system in (None, term.system))
    if chosen:
        return chosen
    if found:
        others = ", ".join(dict.fromkeys(TITLES[term.system] for term in found))
        title = TITLES[system or LOCALRUN]
        raise UsageError(f"{title} has no term {word!r}", remedy=f"it is a term of {others}")
    raise UsageError(f"unknown term {word!r}", remedy=_suggest(word), word=word)


def _suggest(word: str) -> str:
    """Suggest the terms that contain the word, else the closest term."""
    part = normalize(word)
    names = list(dict.fromkeys(term.name for term in glossary.terms() if part in normalize(term.name)))
    if names and len(part) > 3:
        more = f" and {len(names) - _MAX_SUGGESTIONS} more" if len(names) > _MAX_SUGGESTIONS else ""
        return f"found in {', '.join(names[:_MAX_SUGGESTIONS])}{more}"
    closest = glossary.closest_term(word)
    guess = f"did you mean {closest!r}? " if closest else ""
    return f"{guess}`localrun explain` lists all terms"


def meanings(word: str) -> list[dict[str, Any]]:
    """Return the meanings of a word as JSON. Raises `UsageError` for an unknown one."""
    return [_fields(term) for term in _find(word, None)]


def _fields(term: Term) -> dict[str, Any]:
    """Return a term as JSON. Empty values are left out, except `here`."""
    known = {
        "system": term.system,
        "kind": term.kind,
        "name": term.name,
        "also": list(term.aliases),
        "meaning": term.meaning,
        "remedy": term.remedy,
        "only": str(term.availability or ""),
        "why": term.why,
        "like": term.analogue,
        "elsewhere": [translation.as_dict() for translation in _translations(term)],
    }
    here = [
        {"state": one.state, "step": one.step, "cause": str(one.cause) if one.cause else None}
        for one in term.situations
    ]
    return {name: value for name, value in known.items() if value} | {"here": here}


def _describe(term: Term) -> Iterator[str]:
    also = f", also {', '.join(term.aliases)}" if term.aliases else ""
    yield f"{term.name} ({TITLES[term.system]}, {term.kind}{also})"
    yield f"  {term.meaning}"
    if term.availability:
        yield f"  exists only {term.availability}: {term.why}"
    if term.system == LOCALRUN:
        yield from _own_lines(term)
    elif term.situations or term.analogue:
        label = "closest here" if term.availability else "here"
        yield f"  {label}: {term.analogue or '; or '.join(_situations(term.situations))}"
    yield f"  hint: {term.remedy}"


def _situations(situations: Iterable[Situation]) -> Iterator[str]:
    """Join the causes of situations with the same state and step."""
    for _, group in groupby(situations, key=lambda one: (one.state, one.step)):
        first, *others = group
        causes = [str(one.cause) for one in others if one.cause]
        yield ", ".join([str(first), *causes[:-1]]) + (f" or {causes[-1]}" if causes else "")


def _own_lines(term: Term) -> Iterator[str]:
    """Return the lines that only terms of localrun have."""
    if term.kind == "cause":
        cause = Cause[term.name]
        yield f"  responsible: {_RESPONSIBLE[cause.fault]}; exit code {int(code_for_cause(cause))}"
    if term.analogue:
        yield f"  it is {term.analogue}"
    for found in _translations(term):
        parts = dict.fromkeys((found.status, found.reason, found.replica, found.cause))
        yield f"  {TITLES[found.system]}: {', '.join(filter(None, parts))}"


def _translations(term: Term) -> Iterator[Translation]:
    if term.system != LOCALRUN or not term.situations:  # a term that is not a state or cause of a task
        return
    (here,) = term.situations
    # a cause does not determine the step; most tasks end in the step `task`
    step = here.step or (StepName.TASK if here.cause else None)
    for system in SYSTEMS:
        yield translate(here.state, step, here.cause, system)


def _list(terms: Iterable[Term]) -> Iterator[str]:
    """Yield all terms by system and kind, each with the first sentence of its meaning."""
    for system, kinds in groupby(terms, key=lambda term: term.system):
        for kind, members in groupby(kinds, key=lambda term: term.kind):
            yield f"{TITLES[system]}: {kind}"
            for term in members:
                meaning = term.meaning.split(". ")[0].rstrip(".")
                only = f" (only {term.availability})" if term.availability else ""
                yield f"  {term.name:<28}  {meaning}{only}"
            yield ""
    yield "`localrun explain WORD` shows the details of a term."
