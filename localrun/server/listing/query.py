"""Search terms of the list of tasks: `state:FAILED cause:OUT_OF_MEMORY by:ray -name:old "two words"`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from localrun.console.results import value_text
from localrun.errors import Cause
from localrun.server.listing.index import IndexedTask
from localrun.suggestions import closest, did_you_mean
from localrun.task import metadata
from localrun.task.states import StepName, TaskState

_TERM = re.compile(r'(?P<no>-?)(?:(?P<key>[A-Za-z_]+):)?(?P<value>"[^"]*"?|[^\s"]*)')
_GROUPS = ("active", "ended")
_STATES = (*(str(state) for state in TaskState), *_GROUPS)
_WORDS: dict[str, tuple[str, ...]] = {
    "state": _STATES,
    "cause": tuple(map(str, Cause)),
    "kind": ("container", "replicated", "manual"),
    "step": tuple(map(str, StepName)),
}


class InvalidQuery(ValueError):
    """A search term that cannot match anything, with a remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class SearchTerm(NamedTuple):
    """A condition: one of `values` for `key`, or text anywhere if `key` is empty."""

    key: str
    values: tuple[str, ...]
    negated: bool = False

    def matches(self, task: IndexedTask) -> bool:
        found = _MATCHERS[self.key]
        return any(found(task, value) for value in self.values) is not self.negated


def parse(text: str) -> list[SearchTerm]:
    """Return the terms of a search. Raises `InvalidQuery` for a misspelt key or word."""
    return [_term(found) for found in _TERM.finditer(text) if found["value"].strip('"')]


def _term(found: re.Match[str]) -> SearchTerm:
    key, value, negated = (found["key"] or "").lower(), found["value"], bool(found["no"])
    if key and key not in _MATCHERS:
        suggestion = closest(key, [name for name in _MATCHERS if name])
        if suggestion is not None:
            raise InvalidQuery(f"unknown search key {key!r}", f"did you mean '{suggestion}:'?")
        key, value = "", f"{found['key']}:{value}"
    values = (value,) if value.startswith('"') or not key else tuple(filter(None, value.split(",")))
    values = tuple(one.strip('"').casefold() for one in values)
    for one in values if key in _WORDS else ():
        known = _WORDS[key]
        if one not in map(str.casefold, known):
            remedy = did_you_mean(one.upper(), known) or f"expected one of: {', '.join(known)}"
            raise InvalidQuery(f"unknown {key} {one!r}", remedy)
    return SearchTerm(key, values, negated)


def select(tasks: Iterable[IndexedTask], terms: list[SearchTerm]) -> list[IndexedTask]:
    """Return the tasks that match all terms. Replicas are only found by the id of their task."""
    has_parent = any(term.key == "of" for term in terms)
    found = tasks if has_parent else (task for task in tasks if task.record.replica is None)
    return [task for task in found if all(term.matches(task) for term in terms)]


def _state(task: IndexedTask, word: str) -> bool:
    state = task.record.state
    return state.is_final is (word == "ended") if word in _GROUPS else state.casefold() == word


def _equals(key: str) -> Callable[[IndexedTask, str], bool]:
    return lambda task, word: (task.row[key] or "").casefold() == word


def _contains(key: str) -> Callable[[IndexedTask, str], bool]:
    return lambda task, word: word in task.row[key].casefold()


def _value(task: IndexedTask, word: str) -> bool:
    return any(word in f"{one['name']}={one.get('text', '')}".casefold() for one in task.row["values"])


def _batch(task: IndexedTask, word: str) -> bool:
    batch = task.record.batch
    return batch is not None and batch.id.casefold().startswith(word)


def _metadata(task: IndexedTask, word: str) -> bool:
    key, equals, text = word.partition("=")
    found = {name.casefold(): value for name, value in metadata.of(task.record).items()}
    if not equals:
        return key in found
    return key in found and text == value_text(found[key]).casefold()


_MATCHERS: dict[str, Callable[[IndexedTask, str], bool]] = {
    "": lambda task, word: word in task.text,
    "state": _state,
    "cause": _equals("cause"),
    "kind": _equals("kind"),
    "step": _equals("step"),
    "by": _contains("assigned_by"),
    "name": _contains("name"),
    "bundle": _contains("bundle"),
    "message": _contains("message"),
    "id": lambda task, word: task.record.id.casefold().startswith(word),
    "of": lambda task, word: (task.row["replica_of"] or "-").casefold().startswith(word),
    "batch": _batch,
    "value": _value,
    "metadata": _metadata,
}
