"""`localrun explain`: what a status, state, step or cause means, here and in four other systems."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.console.streams import print_out
from localrun.errors import Cause, UsageError
from localrun.platforms.vocabulary import glossary, translate
from localrun.platforms.vocabulary.systems import LOCALRUN, SYSTEMS, TITLES
from localrun.platforms.vocabulary.term import Term, normalize

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from localrun.platforms.vocabulary.translation import Translation

_WIDTH = 28
_FEW = 6


def _complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from localrun.cli import completers

    return completers.terms(ctx, incomplete)


@click.command()
@click.argument("words", metavar="[WORD]", nargs=-1, shell_complete=_complete)
@click.option("--system", type=click.Choice((LOCALRUN, *SYSTEMS)), help="Only the words of this system.")
@options.as_json
def command(words: tuple[str, ...], system: str | None, *, as_json: bool) -> None:
    """Say what WORD means: a state, a step, a cause, or a status of another system.

    Known are localrun's own words and those of App Engine, Inductiva, iExec and the Task System. Letter
    case does not matter, nor do blanks, `-` and `_`. A whole line of a log will do: the words in it are
    told. Without a WORD all are listed.
    """
    asked = " ".join(words)
    found = _found(asked, system) if asked.strip() else glossary.terms(system)
    if as_json:
        from localrun.console.results import print_json

        print_json({"word": asked or None, "meanings": [term_fields(word) for word in found]})
    elif asked.strip():
        print_out("\n\n".join("\n".join(_sheet(word)) for word in found))
    else:
        print_out("\n".join(_catalogue(found)))


def _found(asked: str, system: str | None) -> tuple[Term, ...]:
    found = glossary.look_up(asked) or glossary.find_terms(asked)
    chosen = tuple(word for word in found if system in (None, word.system))
    if chosen:
        return chosen
    if found:
        others = ", ".join(dict.fromkeys(TITLES[word.system] for word in found))
        raise UsageError(
            f"{asked!r} is no word of {TITLES[system or LOCALRUN]}",
            remedy=f"it is one of {others}",
        )
    raise UsageError(f"no system has the word {asked!r}", remedy=_remedy(asked), word=asked)


def _remedy(asked: str) -> str:
    """The words that it may be a part of, or the one that it is like."""
    parts = _with(asked)
    if parts:
        more = f" and {len(parts) - _FEW} more" if len(parts) > _FEW else ""
        return f"it is a part of {', '.join(parts[:_FEW])}{more}"
    near = glossary.closest_term(asked)
    guess = f"did you mean {near!r}? " if near else ""
    return f"{guess}`localrun explain` lists all words"


def _with(asked: str) -> list[str]:
    part = normalize(asked)
    names = dict.fromkeys(word.name for word in glossary.terms())
    return [name for name in names if part in normalize(name)] if len(part) > 3 else []


def term_fields(word: Term) -> dict[str, Any]:
    """A meaning as JSON; what it does not have is left out, but for `here`."""
    known = {
        "system": word.system,
        "kind": word.kind,
        "name": word.name,
        "also": list(word.aliases),
        "meaning": word.meaning,
        "remedy": word.remedy,
        "only": str(word.availability or ""),
        "why": word.why,
        "like": word.analogue,
        "elsewhere": [saying.as_dict() for saying in _elsewhere(word)],
    }
    here = [
        {"state": one.state, "step": one.step, "cause": str(one.cause) if one.cause else None}
        for one in word.situations
    ]
    return {name: value for name, value in known.items() if value} | {"here": here}


def _sheet(word: Term) -> Iterator[str]:
    also = f", also {', '.join(word.aliases)}" if word.aliases else ""
    yield f"{word.name} ({TITLES[word.system]}, {word.kind}{also})"
    yield f"  {word.meaning}"
    if word.availability:
        yield f"  exists only {word.availability}: {word.why}"
    if word.system == LOCALRUN:
        yield from _own(word)
    elif word.situations or word.analogue:
        nearest = "nearest here" if word.availability else "here"
        yield f"  {nearest}: {word.analogue or '; or '.join(map(str, word.situations))}"
    yield f"  hint: {word.remedy}"


def _own(word: Term) -> Iterator[str]:
    if word.kind == "cause":
        from localrun.cli.exit_codes import code_for_cause

        cause = Cause[word.name]
        yield f"  who has to act: {_ACTORS[cause.fault]}; exit code {int(code_for_cause(cause))}"
    if word.analogue:
        yield f"  it is {word.analogue}"
    for saying in _elsewhere(word):
        parts = dict.fromkeys((saying.status, saying.reason, saying.replica, saying.cause))
        yield f"  {TITLES[saying.system]}: {', '.join(filter(None, parts))}"


def _elsewhere(word: Term) -> Iterator[Translation]:
    if word.system != LOCALRUN or not word.situations:  # a line of a sheet is no state
        return
    from localrun.task.states import StepName

    (here,) = word.situations
    # a cause alone says nothing of its step: most tasks end in their own
    step = here.step or (StepName.TASK if here.cause else None)
    for system in SYSTEMS:
        yield translate(here.state, step, here.cause, system)


def _catalogue(words: tuple[Term, ...]) -> Iterator[str]:
    """All words by system and kind, each with the beginning of its meaning."""
    for system, kinds in groupby(words, key=lambda word: word.system):
        for kind, members in groupby(kinds, key=lambda word: word.kind):
            yield f"{TITLES[system]}: {kind}"
            for word in members:
                yield f"  {word.name:<{_WIDTH}}  {_first_sentence(word)}"
            yield ""
    yield "`localrun explain WORD` says more of one: what it is here, and what to do."


def _first_sentence(word: Term) -> str:
    first = word.meaning.split(". ")[0].rstrip(".")
    return f"{first} (only {word.availability})" if word.availability else first


_ACTORS = {
    "user": "who submits the task",
    "task": "the author of the task's program",
    "host": "the owner of this machine",
}
