"""The findings of `localrun validate` for CI systems: GitHub workflow commands and JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from localrun.bundle.validation.findings import Finding, Severity, ValidationReport
from localrun.cli.findings import verdict
from localrun.console.display.sanitize import escape_control_chars, escape_lines
from localrun.errors import LocalrunError, Problem

Reports = Sequence[tuple[Path, ValidationReport]]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def github(report: ValidationReport, bundle: Path) -> Iterator[str]:
    """Yield one workflow command for each finding, then the verdict.

    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    for finding in report.findings:
        problem = finding.problem
        properties = {"file": str(_path(finding, bundle))}
        if problem.line:
            properties |= {"line": str(problem.line), "col": str(problem.column or 1)}
        properties["title"] = finding.code or f"localrun validate: {finding.severity}"
        level = "warning" if finding.severity is Severity.WARNING else "error"
        joined = ",".join(f"{key}={_escape_property(value)}" for key, value in properties.items())
        yield f"::{level} {joined}::{_escape(_text(finding))}"
    for unchecked in report.unchecked:
        yield f"::notice::{_escape(f'not checked: {unchecked}')}"
    yield escape_control_chars(verdict(report))


def _escape(text: str) -> str:
    return escape_lines(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def junit(reports: Reports, *, strict: bool) -> str:
    """Return JUnit XML: a suite for each bundle with a case for each finding, or a passed one without any.

    With `strict`, warnings are failures.
    """
    suites = ElementTree.Element("testsuites")
    for bundle, report in reports:
        suite = ElementTree.SubElement(suites, "testsuite", name=f"localrun validate {_xml(str(bundle))}")
        failures = [_finding_case(suite, bundle, finding, strict=strict) for finding in report.findings]
        for unchecked in report.unchecked:
            case = _case(suite, bundle, f"not checked: {unchecked}")
            ElementTree.SubElement(case, "skipped", message=_xml(unchecked))
        if not len(suite):
            _case(suite, bundle, verdict(report))
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(sum(failures)))
        suite.set("skipped", str(len(report.unchecked)))
    ElementTree.indent(suites)
    text: bytes = ElementTree.tostring(suites, "us-ascii", xml_declaration=True)
    return text.decode()


def _finding_case(suite: ElementTree.Element, bundle: Path, finding: Finding, *, strict: bool) -> bool:
    """Add a test case for a finding, and return whether it is a failure."""
    problem = finding.problem
    case = _case(suite, bundle, problem.where or problem.message)
    case.set("file", _xml(str(_path(finding, bundle))))
    if problem.line:
        case.set("line", str(problem.line))
    failed = strict or finding.severity is not Severity.WARNING
    if failed:
        attributes = {"message": _xml(problem.message), "type": finding.code or str(finding.severity)}
        ElementTree.SubElement(case, "failure", attributes).text = _xml(_text(finding))
    else:
        ElementTree.SubElement(case, "system-out").text = _xml(_text(finding))
    return failed


def error_report(error: LocalrunError, bundle: Path) -> ValidationReport:
    """Return the report of a bundle that cannot be read at all."""
    problems = error.problems or [Problem("", error.message, error.remedy)]
    return ValidationReport(str(bundle), tuple(Finding(Severity.ERROR, problem) for problem in problems))


def _case(suite: ElementTree.Element, bundle: Path, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_xml(str(bundle)), name=_xml(name))


def _xml(text: str) -> str:
    """Replace characters that XML cannot hold."""
    return _NOT_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", escape_lines(text))


def _text(finding: Finding) -> str:
    """Return the message, the remedy and App Engine's code."""
    problem = finding.problem
    message = f"{problem.path}: {problem.message}" if problem.path else problem.message
    answer = f"App Engine's answer: {finding.code}" if finding.code else ""
    return "\n".join(filter(None, (message, problem.remedy, answer)))


def _path(finding: Finding, bundle: Path) -> Path:
    """Return the file of a finding relative to the current folder, else the bundle."""
    candidates = (Path(finding.problem.file), bundle / finding.problem.file)
    found = next((path for path in candidates if path.is_file() and path.is_relative_to(bundle)), bundle)
    return found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found
