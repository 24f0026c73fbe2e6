"""Errors of localrun in tests: the reason, and the frames of the project only."""

from __future__ import annotations

import pytest

import localrun.pytest_plugin.fake  # noqa: F401 - what is imported before stays the same in the sessions within

TESTS = """
import pytest
import localrun as package

@pytest.fixture
def sum_of_a_text(fake_engine, localrun):
    return localrun(a="three", b=4)

def test_inputs(fake_engine, localrun):
    localrun(a="three", b=4)

def test_bundle(fake_engine, localrun):
    package.run("/nowhere")

def test_fixture(sum_of_a_text):
    pass

def test_other(fake_engine, localrun):
    raise KeyError("mine") from OSError("cause")
"""


def test_only_frames_of_the_project_are_shown(project: pytest.Pytester) -> None:
    project.makepyfile(TESTS)
    result = project.runpytest()
    result.assert_outcomes(failed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            '>       return localrun(a="three", b=4)',
            "*localrun.errors.InputsError: invalid inputs (1 problem)",
            "*- inputs.a: expected an integer*",
            '>       localrun(a="three", b=4)',
            '>       package.run("/nowhere")',
            "*localrun.errors.BundleError: no such file or folder: /nowhere",
            "*hint: check the name*",
            "OSError: cause",  # other errors are shown as pytest does
            "*The above exception was the direct cause*",
        ]
    )
    assert "submission.py" not in result.stdout.str()
    assert "FileNotFoundError" not in result.stdout.str()


def test_the_full_trace_shows_the_frames_of_localrun(project: pytest.Pytester) -> None:
    project.makepyfile(TESTS)
    shown = project.runpytest("--full-trace", "-k", "inputs").stdout.str()
    assert "submission.py" in shown


@pytest.mark.parametrize("style", ["auto", "long", "short", "line", "native", "no"])
def test_every_style_of_pytest_works(project: pytest.Pytester, style: str) -> None:
    project.makepyfile(TESTS)
    result = project.runpytest(f"--tb={style}")
    result.assert_outcomes(failed=3, errors=1)
    assert "INTERNALERROR" not in result.stdout.str()


def test_an_error_below_a_fixture_of_the_plugin_has_no_frames(project: pytest.Pytester) -> None:
    (project.path / "descriptor.yml").write_text("name: [")
    project.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def localrun_docker():
            from localrun.pytest_plugin import ScriptedEngine
            return ScriptedEngine()
        """
    )
    project.makepyfile(test_a="def test_one(localrun_bundle): pass\ndef test_two(localrun_bundle): pass")
    result = project.runpytest()
    result.assert_outcomes(errors=2)
    shown = result.stdout.str().partition("short test summary")[0]
    assert shown.count("descriptor.yml") >= 2
    assert "pytest_plugin" not in shown
    result.stdout.fnmatch_lines(["ERROR *test_one - localrun.errors.*"])
