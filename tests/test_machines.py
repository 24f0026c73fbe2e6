"""`make engines` and `make pythons`: what they run, print and write."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.support.machines.facts import Facts
from tests.support.machines.kinds import KINDS
from tests.support.machines.matrix import main
from tests.support.machines.outcomes import Outcomes
from tests.support.machines.page import BEGIN, END, update_page
from tests.support.machines.suite import FILES, LIMITATIONS, QUICK_FILES, VARIABLE
from tests.support.machines.table import format_table

ROOT = Path(__file__).parents[1]


def test_each_limitation_names_engines_and_tests_that_exist() -> None:
    for limitation in LIMITATIONS:
        assert set(limitation.kinds) <= set(KINDS)
        for test in limitation.tests:
            file, _, name = test.partition("::")
            assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text(), test


def test_the_tests_of_the_engines_exist() -> None:
    assert set(QUICK_FILES) <= set(FILES)
    for file in FILES:
        assert "docker" in (ROOT / file).read_text(), file


def test_outcomes_are_those_of_the_session(pytester: pytest.Pytester) -> None:
    # Given tests with every outcome
    pytester.makepyfile(
        """
        import pytest

        def test_passes(): pass
        def test_fails(): assert False
        def test_skipped(): pytest.skip("no")
        @pytest.mark.xfail(reason="known")
        def test_known(): assert False
        @pytest.mark.xfail(reason="gone", strict=True)
        def test_known_and_gone(): pass
        @pytest.fixture
        def broken():
            yield
            assert False
        def test_leaves_something(broken): pass
        """
    )

    # When they run
    report = pytester.path / "report.xml"
    code = pytester.runpytest_subprocess(f"--junitxml={report}", "-o", "junit_family=xunit1").ret

    # Then failures, and known ones that are gone, fail the engine
    found = Outcomes.read(report, code)
    (name,) = found.files
    assert name == "test_outcomes_are_those_of_the_session.py"
    assert {test.partition("::")[2] for test in found.failed} == {
        "test_fails",
        "test_known_and_gone",
        "test_leaves_something",
    }
    assert found.files[name]["known"] == found.files[name]["skipped"] == 1


@pytest.mark.parametrize(("code", "failed"), [(1, True), (0, False)])
def test_a_session_that_fails_as_a_whole_is_a_failure(tmp_path: Path, code: int, failed: bool) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuite><testcase file="a.py" name="test_a"/></testsuite>')

    assert bool(Outcomes.read(report, code).failed) is failed
    assert Outcomes.read(tmp_path / "missing.xml", code).failed


def test_known_failures_are_expected_on_their_engine_only(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(
        test_one="def test_fails(): assert False",
        conftest="""
        from tests.support.machines import suite
        suite.LIMITATIONS = (suite.Limitation(("podman",), ("test_one.py::test_fails",), "not here"),)
        """,
    )
    for kind, outcome in {"podman": "xfailed", "docker": "failed"}.items():
        monkeypatch.setenv(VARIABLE, kind)
        result = pytester.runpytest_inprocess("-p", "tests.support.machines.suite")
        result.assert_outcomes(**{outcome: 1})


def test_the_table_has_files_engines_failures_and_reasons() -> None:
    outcomes = {
        "docker": Outcomes({"a.py": Counter(passed=12)}, ()),
        "podman": Outcomes(
            {"a.py": Counter(passed=10, known=1), "b.py": Counter(failed=1)}, ("b.py::test_x",)
        ),
    }

    lines = format_table(outcomes, {"docker-newest": "no such package"}).splitlines()

    assert [line.split() for line in lines[1:5]] == [
        ["passed/failed/known/skipped", "docker", "podman"],
        ["a.py", "12/0/0/0", "10/0/1/0"],
        ["b.py", "-", "0/1/0/0"],
        ["total", "12/0/0/0", "10/1/1/0"],
    ]
    assert lines[5:] == ["FAILED on podman: b.py::test_x", "skipped docker-newest: no such package"]


def test_the_page_keeps_engines_that_were_not_tested(tmp_path: Path) -> None:
    page = tmp_path / "engines.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")

    update_page(page, {"docker": Facts("20.10.1", "overlay2", "v1", rootless=False)})
    update_page(page, {"podman-rootless": Facts("4.3.1", "vfs", "v1", rootless=True)})
    once = page.read_text()
    update_page(page, {})

    assert "| 20.10.1 | overlay2 | v1 |" in once
    assert "| 4.3.1 | vfs | v1, without delegation |" in once
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert page.read_text() == once


def test_the_page_describes_each_engine_and_limitation() -> None:
    text = (ROOT / "docs" / "engines.md").read_text()

    for kind in KINDS:
        assert f"| `{kind}` |" in text
    for limitation in LIMITATIONS:
        assert limitation.reason in text


def test_an_unknown_engine_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["dokcer"])
    assert "unknown engine dokcer; expected docker, " in capsys.readouterr().err


def test_a_python_that_is_not_installed_is_skipped_with_a_reason(tmp_path: Path) -> None:
    environ = os.environ | {"PYTHONS": "3.99", "PYENV_ROOT": str(tmp_path)}

    done = subprocess.run([ROOT / ".ci/pythons"], env=environ, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "3.99  skipped: not installed, neither in PATH nor with pyenv"
