"""One word of one system: what it means, and what there is of it on one machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from localrun.errors import Cause
from localrun.task.states import StepName, TaskState


class Availability(StrEnum):
    """Where something exists that one machine does not have."""

    CHAIN = "on a blockchain"
    ENCLAVE = "in an enclave"
    CLOUD = "in a cloud"
    CLUSTER = "in a cluster"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a task here may be in; None means any."""

    state: TaskState
    step: StepName | None = None
    cause: Cause | None = None

    def covers(self, state: TaskState, step: StepName | None, cause: Cause | None) -> bool:
        """Whether a task in that state, step and cause is in this situation; its step may be unknown."""
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
    """A word of a system, in plain words.

    `here` holds the situations that it stands for on one machine, or `like` what there is of it when it is
    not about a task's state. A word may exist `only` elsewhere; then `why` says what one machine lacks, and
    `here` is what comes nearest, if anything does.
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
        """All names that it goes by."""
        return (self.name, *self.aliases)


def normalize(text: str) -> str:
    """A word without letter case and without what separates its parts."""
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
    """Words from rows of (name, meaning, here, remedy); what a row leaves out is the same for the table.

    Other names of the word follow the first, after a `|`. `here` is written `RUNNING task`,
    `FAILED TIMEOUT|SIGNAL`, or several of them with commas between; `=text` is what it is `like`.
    """
    return tuple(_word(row, Term(system, kind, "", "", (), remedy, only, why)) for row in table)


def _word(row: tuple[str, ...], common: Term) -> Term:
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
    """The situations that a cell of a table names. Raises ValueError for a state or cause unknown here."""
    for item in filter(None, text.split(", ")):
        states, *others = item.split()
        steps = [other.split("|") for other in others if other.islower()]
        causes = [other.split("|") for other in others if not other.islower()]
        for state, step, cause in product(states.split("|"), *(steps or [[""]]), *(causes or [[""]])):
            yield Situation(
                TaskState(state), StepName(step) if step else None, Cause[cause] if cause else None
            )
