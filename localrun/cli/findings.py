"""The findings of a bundle as text."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from localrun.bundle.validation.findings import IEXEC
from localrun.bundle.validation.validator import Finding, Severity, ValidationReport
from localrun.console.display.sanitize import escape_lines
from localrun.console.report import problem_lines
from localrun.console.streams import is_terminal, print_out
from localrun.descriptor.divergences import PREFIX
from localrun.units import format_count

if TYPE_CHECKING:
    from localrun.descriptor import Descriptor

_HEADINGS = {
    Severity.ERROR: "errors (the bundle cannot run)",
    Severity.REFUSED: "runs here, but {} would refuse it",
    Severity.WARNING: "warnings",
}
_COLOURS = {Severity.ERROR: "31", Severity.REFUSED: "31", Severity.WARNING: "33"}


def print_report(report: ValidationReport, environ: Mapping[str, str]) -> None:
    """Print all findings, then the verdict."""
    use_colour = is_terminal(sys.stdout, environ) and not environ.get("NO_COLOR")
    for severity in Severity:
        found = report.with_severity(severity)
        if found:
            heading = _HEADINGS[severity].format(report.platform)
            print_out(_colour(f"{heading}:", _COLOURS[severity], use_colour))
        for finding in found:
            print_out(escape_lines("\n".join(_lines(finding))))
    for unchecked in report.unchecked:
        print_out(escape_lines(f"not checked: {unchecked}"))
    print_out(_colour(verdict(report), "32" if report.accepted else "31", use_colour))


def _lines(finding: Finding) -> Iterator[str]:
    # the heading already says so
    message = finding.problem.message.removeprefix(PREFIX)
    yield from problem_lines(replace(finding.problem, message=message))
    if finding.code:
        when = "" if finding.step == "upload" else f" at {finding.step}"
        yield f"      App Engine's answer{when}: {finding.code}"


def verdict(report: ValidationReport) -> str:
    """Return one line that says whether the platform would accept the bundle."""
    reasons = report.with_severity(Severity.ERROR, Severity.REFUSED)
    if report.platform == IEXEC:
        return _verdict_of_app(report, len(reasons))
    if reasons:
        count = format_count(len(reasons), "reason")
        if all(finding.severity is Severity.REFUSED and finding.step != "upload" for finding in reasons):
            return f"App Engine would accept {_name(report)}, but not run it: {count}"
        return f"App Engine would refuse {_name(report)}: {count}"
    warnings = len(report.with_severity(Severity.WARNING))
    more = f", with {format_count(warnings, 'warning')}" if warnings else ""
    if report.image_error:
        return f"App Engine would accept the descriptor of {_name(report)}{more}; the image was not checked"
    incomplete = " (not everything was checked)" if report.unchecked else ""
    return f"App Engine would accept {_name(report)}{more}{incomplete}"


def _verdict_of_app(report: ValidationReport, reasons: int) -> str:
    if reasons:
        return f"an iExec worker could not run {report.bundle}: {format_count(reasons, 'reason')}"
    warnings = len(report.with_severity(Severity.WARNING))
    more = f", with {format_count(warnings, 'warning')}" if warnings else ""
    if report.image_error or report.unchecked:
        return f"nothing speaks against {report.bundle}{more}, but not everything was checked"
    return f"an iExec worker could start {report.bundle}{more}; `localrun run` checks its result"


def _name(report: ValidationReport) -> str:
    return name_and_version(report.descriptor) if report.descriptor else report.bundle


def name_and_version(descriptor: Descriptor) -> str:
    """Return a name such as `Add integers 1.0.0`."""
    return f"{' '.join(descriptor.name.split())} {descriptor.version}"


def _colour(text: str, code: str, use_colour: bool) -> str:
    return f"\x1b[1;{code}m{text}\x1b[0m" if use_colour else text
