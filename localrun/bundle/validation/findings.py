"""The findings of a validation, each with its severity, path and App Engine error code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from localrun.descriptor.divergences import PREFIX, Step, find_by_message
from localrun.errors import ImageError, Problem

if TYPE_CHECKING:
    from localrun.bundle.validation.image_config import ImageConfig
    from localrun.descriptor import Descriptor

UPLOAD = "APPE-internal-bundle-validation-error"
SCHEMA = "APPE-internal-bundle-schema-validation-error"
EXTRACTION = "APPE-internal-descriptor-extraction-error"
APP_ENGINE, IEXEC = "App Engine", "iExec"
_REFUSAL_PHRASES = ("App Engine would refuse", "App Engine would not find")


class Severity(StrEnum):
    """The severity of a finding."""

    ERROR = "error"  # the bundle cannot run anywhere
    REFUSED = "refused"  # it runs here, but App Engine would refuse the bundle or its runs
    WARNING = "warning"  # it may be intended


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding.

    `code` is App Engine's error code ("" if it would not report an error), `row` the id of a row in the table
    of divergences, `step` when App Engine refuses.
    """

    severity: Severity
    problem: Problem
    code: str = ""
    row: str = ""
    step: Step = "upload"

    def as_dict(self) -> dict[str, Any]:
        present = {name: value for name in ("code", "row") if (value := getattr(self, name))}
        if self.severity is Severity.REFUSED:
            present["step"] = self.step
        return {"weight": str(self.severity), **present, **self.problem.as_dict()}


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The findings of a bundle, and the checks that could not be done.

    `descriptor` and `image` are None if they could not be read. `image_error` is why the image could not be
    made available here, so that it was not checked. `platform` is the one whose rules were applied.
    """

    bundle: str
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...] = ()
    descriptor: Descriptor | None = None
    image: ImageConfig | None = None
    image_error: ImageError | None = None
    platform: str = APP_ENGINE

    def with_severity(self, *severities: Severity) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity in severities]

    @property
    def runs_here(self) -> bool:
        return not self.with_severity(Severity.ERROR) and self.image_error is None

    @property
    def accepted(self) -> bool:
        """Whether the platform would accept the bundle and run it."""
        return not self.with_severity(Severity.ERROR, Severity.REFUSED)

    def as_dict(self) -> dict[str, Any]:
        return {
            "bundle": self.bundle,
            "accepted": self.accepted,
            "runs_here": self.runs_here,
            "findings": [finding.as_dict() for finding in self.findings],
            "not_looked_at": list(self.unchecked),
            "image": self.image.as_dict() if self.image else None,
            **({} if self.platform == APP_ENGINE else {"platform": self.platform}),
        }


def error(path: str, message: str, remedy: str, code: str = "") -> Finding:
    return Finding(Severity.ERROR, Problem(path, message, remedy), code)


def refused(path: str, message: str, remedy: str, code: str = UPLOAD) -> Finding:
    return Finding(Severity.REFUSED, Problem(path, PREFIX + message, remedy), code)


def warning(path: str, message: str, remedy: str = "") -> Finding:
    return Finding(Severity.WARNING, Problem(path, message, remedy))


def from_warning(problem: Problem) -> Finding:
    """Return the finding for a warning, with the severity of its row in the table of divergences."""
    row = find_by_message(problem.message)
    if row is not None and row.verdict == "refuses":
        return Finding(Severity.REFUSED, problem, row.code, row.id, row.step)
    if row is None and any(phrase in problem.message for phrase in _REFUSAL_PHRASES):
        return Finding(Severity.REFUSED, problem, UPLOAD)
    return Finding(Severity.WARNING, problem, "", row.id if row else "")
