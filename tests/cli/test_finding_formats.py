"""`localrun validate --format`: the findings of a bundle for CI systems."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from localrun.bundle.validation.findings import Finding, Severity, ValidationReport
from localrun.cli.finding_formats import github, junit
from localrun.errors import Problem
from tests.cli.command import Command
from tests.conftest import ROOT
from tests.support.bundles import DESCRIPTOR, NAME, bundle, image

WRONG = DESCRIPTOR.replace("name_short: add\n", "") + "colour: blue\n"
ODD = "100 %, a\r\nb\x1b[31m:\x00,\ud800<&\uffff'\""


def folder(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a bundle with a refusal and a warning, in a subfolder of the current folder."""
    path = localrun.folder / "task"
    path.mkdir()
    (path / "descriptor.yml").write_text(WRONG)
    (path / NAME).write_bytes(image())
    monkeypatch.chdir(localrun.folder)
    return path


def report(*texts: str, severity: Severity = Severity.ERROR) -> ValidationReport:
    findings = [Finding(severity, Problem("a", text, text, "f,:%", 2, 3), "x:,%") for text in texts]
    return ValidationReport("b", tuple(findings))


def parse(text: str) -> ElementTree.Element:
    """Return the test suite; the text must be well-formed XML."""
    return next(iter(ElementTree.fromstring(text)))


# -- text and JSON ----------------------------------------------------------------------------------


def test_text_and_json_are_what_they_are_without_a_format(localrun: Command) -> None:
    path = bundle(localrun.folder, descriptor=WRONG)
    assert localrun("validate", path).out == localrun("validate", path, "--format", "text").out
    assert localrun("validate", path, "--json").json == localrun("validate", path, "--format", "json").json


@pytest.mark.parametrize("output_format", ["text", "json", "github", "junit"])
def test_the_exit_code_does_not_depend_on_the_format(localrun: Command, output_format: str) -> None:
    good = bundle(localrun.folder)
    assert localrun("validate", good, "--format", output_format).code == 0
    warned = bundle(localrun.folder, descriptor=DESCRIPTOR + "colour: blue\n")
    assert localrun("validate", warned, "--format", output_format).code == 0
    assert localrun("validate", warned, "--format", output_format, "--strict").code == 3
    missing = localrun("validate", "none.zip", "--format", output_format)
    assert (missing.code, "no such file" in missing.err) == (3, True)


# -- github -----------------------------------------------------------------------------------------


def test_github_gets_a_workflow_command_for_each_finding(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(localrun, monkeypatch)
    refused, warned, verdict = localrun("validate", path, "--format", "github").out.splitlines()
    code = "APPE-internal-bundle-validation-error"
    assert refused.startswith(f"::error file=task/descriptor.yml,line=1,col=1,title={code}::name_short: ")
    assert refused.endswith(f"%0AApp Engine's answer: {code}")
    assert warned.startswith("::warning file=task/descriptor.yml,line=")
    assert verdict == "App Engine would refuse Add integers 1.0.0: 1 reason"


@pytest.mark.parametrize("name", ["task", "./task", "task/", "."])
def test_paths_are_those_of_the_current_folder(
    localrun: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = folder(localrun, monkeypatch)
    monkeypatch.chdir(path if name == "." else path.parent)
    found = localrun("validate", name, "--format", "github").out
    assert found.startswith(f"::error file={'' if name == '.' else 'task/'}descriptor.yml,line=1,")


def test_a_finding_of_a_zip_is_shown_at_the_zip(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(localrun.folder)
    bundle(localrun.folder, descriptor=WRONG)
    assert "::error file=bundle.zip,line=1," in localrun("validate", "bundle.zip", "--format", "github").out


def test_nothing_in_a_finding_ends_its_workflow_command() -> None:
    (command, _) = github(report(ODD), Path("b"))
    properties, _, message = command.removeprefix("::error ").partition("::")
    assert properties == "file=b,line=2,col=3,title=x%3A%2C%25"
    assert message.startswith("a: 100 %25, a\\x0d%0Ab:\\x00,")
    assert "\n" not in command
    assert "\x1b" not in command


def test_what_was_not_checked_is_a_notice() -> None:
    found = list(github(ValidationReport("b", (), ("the image: no\nengine",)), Path("b")))
    assert found[0] == "::notice::not checked: the image: no%0Aengine"


def test_a_bundle_that_cannot_be_read_is_an_error_too(localrun: Command) -> None:
    assert localrun("validate", "none.zip", "--format", "github").out.startswith("::error file=none.zip,")
    suite = parse(localrun("validate", "none.zip", "--format", "junit").out)
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert localrun("validate", "none.zip", "--format", "json").json["state"] == "FAILED"


# -- junit ------------------------------------------------------------------------------------------


def test_junit_has_a_case_for_each_finding(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(localrun, monkeypatch)
    suite = parse(localrun("validate", path, "--format", "junit").out)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "0")
    refused, warned = suite
    assert refused.get("classname") == str(path)
    assert refused.get("name") == f"{path}/descriptor.yml:1:1 name_short"
    assert (refused.get("file"), refused.get("line")) == ("task/descriptor.yml", "1")
    failure = refused.find("failure")
    assert failure is not None
    assert failure.get("type") == "APPE-internal-bundle-validation-error"
    assert "its upload" in (failure.text or "")
    assert (warned.find("failure"), warned.find("system-out") is not None) == (None, True)
    strict = parse(localrun("validate", path, "--format", "junit", "--strict").out)
    assert strict.get("failures") == "2"


def test_a_bundle_without_findings_is_a_passed_case(localrun: Command) -> None:
    suite = parse(localrun("validate", bundle(localrun.folder), "--format", "junit").out)
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")
    assert suite[0].get("name") == "App Engine would accept Add integers 1.0.0"
    assert list(suite[0]) == []


def test_any_character_gives_valid_xml() -> None:
    suite = parse(junit([(Path(f"b{ODD}"), report(ODD))], strict=False))
    failure = suite[0].find("failure")
    assert failure is not None
    assert "<&\\uffff" in (failure.text or "")
    assert "\\ud800" in (failure.get("message") or "")


def test_what_was_not_checked_is_a_skipped_case() -> None:
    suite = parse(junit([(Path("b"), ValidationReport("b", (), ("the image",)))], strict=False))
    assert suite[0].find("skipped") is not None
    assert suite.get("skipped") == "1"


# -- multiple bundles -------------------------------------------------------------------------------


def test_multiple_bundles_are_all_reported_with_the_first_failing_exit_code(localrun: Command) -> None:
    good = bundle(localrun.folder)
    (localrun.folder / "wrong").mkdir()
    wrong = bundle(localrun.folder / "wrong", descriptor=WRONG)
    text = localrun("validate", good, "none.zip", wrong)
    assert text.code == 3
    assert "would accept Add integers" in text.out
    assert "would refuse" in text.out
    assert "no such file" in text.err
    records = localrun("validate", good, wrong, "none.zip", "--json").json
    assert [record["accepted"] for record in records] == [True, False, False]
    suites = ElementTree.fromstring(localrun("validate", good, wrong, "--format", "junit").out)
    assert [suite.get("failures") for suite in suites] == ["0", "1"]
    assert localrun("validate", good, good).code == 0
    assert localrun("validate").code == 2


def test_the_pre_commit_hook_validates_the_files_that_it_selects(localrun: Command) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    selected = re.compile(hook["files"])
    assert [bool(selected.search(name)) for name in ("a/descriptor.yml", "descriptor.yaml", "x.yml")] == [
        True,
        True,
        False,
    ]
    (localrun.folder / "descriptor.yml").write_text(WRONG.replace("type: integer", "type: integr"))
    program, *arguments = hook["entry"].split()
    found = localrun(*arguments, localrun.folder / "descriptor.yml", localrun.folder / "descriptor.yml")
    assert (program, found.code) == ("localrun", 3)
