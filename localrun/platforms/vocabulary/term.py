"""Terms of all systems, and what they correspond to in localrun."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from localrun.errors import Cause
from localrun.task.states import StepName, TaskState


class Availability(StrEnum):
    """Where a term applies that does not apply to one machine."""

    CHAIN = "on a blockchain"
    ENCLAVE = "in an enclave"
    CLOUD = "in a cloud"
    CLUSTER = "in a cluster"


@dataclass(frozen=True, slots=True)
class Situation:
    """A state of a localrun task; None matches any step or cause."""

    state: TaskState
    step: StepName | None = None
    cause: Cause | None = None

    def covers(self, state: TaskState, step: StepName | None, cause: Cause | None) -> bool:
        """Return whether a task with this state, step and cause matches; the step may be unknown (None)."""
        return (
            self.state is state
            and (self.step is None or step is None or self.step is step)
            and self.cause in (None, cause)
        )

    def __str__(self) -> str:
        text = str(self.state)
        text += f" in the step {self.step}" if self.step else ""
        return text + (f", cause {self.cause}" if self.cause else "")


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a system, with its explanation.

    `situations` are the states of a localrun task that it corresponds to; `analogue` replaces them for terms
    that are not about a task's state. If `availability` is set, the term applies only there, `why` gives the
    reason, and `situations` are the closest equivalents.
    """

    system: str
    kind: str
    name: str
    meaning: str
    situations: tuple[Situation, ...]
    remedy: str
    availability: Availability | None = None
    why: str = ""
    aliases: tuple[str, ...] = ()
    analogue: str = ""

    @property
    def spellings(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


def normalize(text: str) -> str:
    """Return a term in lower case without separators."""
    return "".join(character for character in text.casefold() if character.isalnum())


def make_terms(
    system: str,
    kind: str,
    table: Iterable[tuple[str, ...]],
    *,
    remedy: str = "",
    only: Availability | None = None,
    why: str = "",
) -> tuple[Term, ...]:
    """Create terms from rows of (name, meaning, situations, remedy); the keywords are defaults.

    Aliases follow the name after a `|`. Situations are written `RUNNING task` or `FAILED TIMEOUT|SIGNAL`,
    separated by commas; `=text` is an analogue.
    """
    return tuple(_make_term(row, Term(system, kind, "", "", (), remedy, only, why)) for row in table)


def _make_term(row: tuple[str, ...], common: Term) -> Term:
    names, meaning, here, remedy = (*row, "", "")[:4]
    name, *also = names.split("|")
    return replace(
        common,
        name=name,
        aliases=tuple(also),
        meaning=meaning,
        situations=() if here.startswith("=") else tuple(parse_situations(here)),
        analogue=here[1:] if here.startswith("=") else "",
        remedy=remedy or common.remedy,
    )


def parse_situations(text: str) -> Iterator[Situation]:
    """Parse the situations of a row. Raises `ValueError` or `KeyError` for unknown words."""
    for item in filter(None, text.split(", ")):
        states, *others = item.split()
        steps = [other.split("|") for other in others if other.islower()]
        causes = [other.split("|") for other in others if not other.islower()]
        for state, step, cause in product(states.split("|"), *(steps or [[""]]), *(causes or [[""]])):
            found = StepName(step) if step else None
            yield Situation(TaskState(state), found, Cause[cause] if cause else None)
