"""The plugin costs nothing and has no effect where it is not used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.session import INNER_SESSIONS

PROGRAM = """
import sys
import pytest, _pytest.fixtures, _pytest.terminal
before = set(sys.modules)
import localrun.pytest_plugin.plugin, localrun.pytest_plugin.fixtures
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("localrun.pytest_plugin")))
"""


@pytest.fixture(autouse=True)
def _plugins_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in INNER_SESSIONS:
        monkeypatch.delenv(name, raising=False)


def test_the_start_of_pytest_imports_nothing_more() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["localrun", "localrun._version"]


def test_a_session_that_does_not_use_it_imports_nothing_more(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing():
            assert not {"localrun.app", "localrun.errors", "msgspec", "docker", "PIL"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "no:schemathesis").assert_outcomes(passed=1)


def test_it_can_be_left_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_none(localrun): pass")
    result = pytester.runpytest("-p", "no:localrun")
    result.stdout.fnmatch_lines(["*fixture 'localrun' not found*"])


def test_its_classes_can_be_named_in_annotations() -> None:
    import localrun.pytest_plugin as plugin

    for name in plugin.__all__:
        assert getattr(plugin, name).__name__ == name
    with pytest.raises(AttributeError):
        plugin.Nothing  # type: ignore[attr-defined]  # noqa: B018 - that is the promise


def test_every_fixture_says_what_it_is(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--fixtures")
    result.stdout.no_fnmatch_line("*no docstring available*localrun*")
    for name in (
        "localrun",
        "task_manager",
        "localrun_server",
        "localrun_bundle",
        "fake_engine",
        "localrun_case",
    ):
        result.stdout.fnmatch_lines([f"{name}*"])


@pytest.mark.parametrize("option", ["localrun", "localrun.pytest_plugin.plugin", "no:localrun"])
def test_the_plugin_is_loaded_and_turned_off_by_its_documented_names(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "" if option.startswith("no:") else "1")
    pytester.makepyfile("def test(localrun_keep): pass")
    is_loaded = not option.startswith("no:")
    result = pytester.runpytest_subprocess("-p", option)
    result.assert_outcomes(passed=int(is_loaded), errors=int(not is_loaded))
