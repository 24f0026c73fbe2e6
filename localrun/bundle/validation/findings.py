"""What was found of a bundle: each reason with its weight, its place, and App Engine's code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from localrun.descriptor.divergences import PREFIX, find_by_message
from localrun.errors import Problem

if TYPE_CHECKING:
    from localrun.bundle.validation.image_config import ImageConfig
    from localrun.descriptor import Descriptor

UPLOAD = "APPE-internal-bundle-validation-error"
SCHEMA = "APPE-internal-bundle-schema-validation-error"
EXTRACTION = "APPE-internal-descriptor-extraction-error"
_REFUSALS = ("App Engine would refuse", "App Engine would not find")


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # it can run nowhere
    REFUSED = "refused"  # it runs here; App Engine would refuse it, or every run of it
    WARNING = "warning"  # it may be meant so


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    `code` is what App Engine would answer ("": it would answer nothing), `row` the id of a row of the table
    of divergences.
    """

    severity: Severity
    problem: Problem
    code: str = ""
    row: str = ""

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        more = {"code": self.code, "row": self.row}
        told = {name: value for name, value in more.items() if value}
        return {"weight": str(self.severity), **told, **self.problem.as_dict()}


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """All that was found of a bundle, and what could not be looked at.

    `descriptor` and `image` are None when they could not be read.
    """

    bundle: str
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...] = ()
    descriptor: Descriptor | None = None
    image: ImageConfig | None = None

    def with_severity(self, *weights: Severity) -> list[Finding]:
        """The findings of these weights."""
        return [finding for finding in self.findings if finding.severity in weights]

    @property
    def runs_here(self) -> bool:
        """Whether nothing was found that keeps it from running at all."""
        return not self.with_severity(Severity.ERROR)

    @property
    def accepted(self) -> bool:
        """Whether App Engine would accept it, and run it."""
        return not self.with_severity(Severity.ERROR, Severity.REFUSED)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "bundle": self.bundle,
            "accepted": self.accepted,
            "runs_here": self.runs_here,
            "findings": [finding.as_dict() for finding in self.findings],
            "not_looked_at": list(self.unchecked),
            "image": self.image.as_dict() if self.image else None,
        }


def error(path: str, message: str, remedy: str, code: str = "") -> Finding:
    """A finding that can run nowhere."""
    return Finding(Severity.ERROR, Problem(path, message, remedy), code)


def refused(path: str, message: str, remedy: str, code: str = UPLOAD) -> Finding:
    """A finding that App Engine would refuse."""
    return Finding(Severity.REFUSED, Problem(path, PREFIX + message, remedy), code)


def warning(path: str, message: str, remedy: str = "") -> Finding:
    """A finding that may be meant so."""
    return Finding(Severity.WARNING, Problem(path, message, remedy))


def from_problems(problems: Iterable[Problem]) -> list[Finding]:
    """Weigh warnings by the row of the table of divergences that they were made from, if they were."""
    return [_of_problem(problem) for problem in problems]


def from_texts(texts: Iterable[str]) -> list[Finding]:
    """The same for warnings that are only text."""
    return [_of_problem(Problem("", text)) for text in texts]


def _of_problem(problem: Problem) -> Finding:
    row = find_by_message(problem.message)
    if row is not None and row.verdict == "refuses":
        return Finding(Severity.REFUSED, problem, row.code, row.id)
    if row is None and any(sign in problem.message for sign in _REFUSALS):
        return Finding(Severity.REFUSED, problem, UPLOAD)
    return Finding(Severity.WARNING, problem, "", row.id if row else "")
