"""What localrun and the server say about each step of a task, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from localrun.api.remote.client import describe
from localrun.api.remote.connection import Reply
from localrun.errors import Problem

Word = Literal["accepted", "rejected", "finished", "failed", "same", "different", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """What one side says about a step: a word, and the reasons; `unknown` if it was not asked."""

    word: Word
    reasons: tuple[str, ...] = ()
    fields: dict[str, Any] | None = None  # the answer of the server, for JSON

    def as_dict(self) -> dict[str, Any]:
        return {"verdict": self.word, "reasons": list(self.reasons), **(self.fields or {})}


UNKNOWN = Verdict("unknown")


@dataclass(frozen=True)
class Step:
    """A step, such as `bundle` or `input a`, with both verdicts."""

    name: str
    local: Verdict
    remote: Verdict

    @property
    def agree(self) -> bool | None:
        """Whether both say the same; None if one of them was not asked."""
        if "unknown" in (self.local.word, self.remote.word):
            return None
        return self.local.word == self.remote.word

    def as_dict(self) -> dict[str, Any]:
        return {
            "step": self.name,
            "localrun": self.local.as_dict(),
            "server": self.remote.as_dict(),
            "agree": self.agree,
        }


def of_answer(answer: Reply) -> Verdict:
    """Return the verdict of the server in an answer."""
    if answer.is_ok:
        return Verdict("accepted", fields={"status": answer.status})
    found = answer.json()
    known = found if isinstance(found, dict) else {}
    fields = {key: known.get(key) for key in ("errorCode", "message", "details") if key in known}
    return Verdict("rejected", (describe(answer),), {"status": answer.status, **fields})


def of_problems(problems: Iterable[Problem]) -> Verdict:
    """Return the verdict of localrun for a list of problems."""
    reasons = tuple(str(problem) for problem in problems)
    return Verdict("rejected", reasons) if reasons else Verdict("accepted")


def agree(steps: Sequence[Step]) -> bool:
    """Whether both say the same about all steps that both were asked about."""
    return all(step.agree is not False for step in steps)
