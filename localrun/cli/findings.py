"""What was found of a bundle, for people: App Engine's verdict, each reason, what could not be looked at."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from localrun.bundle.validation.validator import Finding, Severity, ValidationReport
from localrun.console.display.sanitize import escape_lines
from localrun.console.report import problem_lines
from localrun.console.streams import is_terminal, print_out
from localrun.descriptor.divergences import PREFIX

if TYPE_CHECKING:
    from localrun.descriptor import Descriptor

_HEADS = {
    Severity.ERROR: "wrong: it cannot run",
    Severity.REFUSED: "works here, and App Engine would refuse it",
    Severity.WARNING: "to be looked at",
}
_COLOURS = {Severity.ERROR: "31", Severity.REFUSED: "31", Severity.WARNING: "33"}


def print_report(report: ValidationReport, environ: Mapping[str, str]) -> None:
    """All of it, the verdict last."""
    colourful = is_terminal(sys.stdout, environ) and not environ.get("NO_COLOR")
    for weight in Severity:
        found = report.with_severity(weight)
        if found:
            print_out(_coloured(f"{_HEADS[weight]}:", _COLOURS[weight], colourful))
        for finding in found:
            print_out(escape_lines("\n".join(_lines(finding))))
    for what in report.unchecked:
        print_out(escape_lines(f"not looked at: {what}"))
    print_out(_coloured(verdict(report), "32" if report.accepted else "31", colourful))


def _lines(finding: Finding) -> Iterator[str]:
    # the heading says it already
    message = finding.problem.message.removeprefix(PREFIX)
    yield from problem_lines(replace(finding.problem, message=message))
    if finding.code:
        yield f"      answer: {finding.code}"


def verdict(report: ValidationReport) -> str:
    """One line: what App Engine would do."""
    reasons = len(report.with_severity(Severity.ERROR, Severity.REFUSED))
    if reasons:
        count = "1 reason" if reasons == 1 else f"{reasons} reasons"
        return f"App Engine would refuse {_named(report)}: {count}"
    warnings = len(report.with_severity(Severity.WARNING))
    more = "" if not warnings else ", with 1 warning" if warnings == 1 else f", with {warnings} warnings"
    unsure = ", as far as it was looked at" if report.unchecked else ""
    return f"App Engine would accept {_named(report)}{more}{unsure}"


def _named(report: ValidationReport) -> str:
    return name_and_version(report.descriptor) if report.descriptor else report.bundle


def name_and_version(descriptor: Descriptor) -> str:
    """`Add integers 1.0.0`."""
    return f"{' '.join(descriptor.name.split())} {descriptor.version}"


def _coloured(text: str, colour: str, colourful: bool) -> str:
    return f"\x1b[1;{colour}m{text}\x1b[0m" if colourful else text
