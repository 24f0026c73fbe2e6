"""The settings file of a project in its tests."""

from __future__ import annotations

import pytest


def test_a_test_takes_what_it_leaves_open_from_the_settings_file(project: pytest.Pytester) -> None:
    (project.path / "localrun.toml").write_text('timeout = "10m"\nretries = 2\n[inputs]\na = 3\nb = 4\n')
    project.makepyfile(
        """
        def test_sum(fake_engine, localrun):
            fake_engine.plan(outputs={"sum": 7})
            localrun()
            assert localrun.last.info.inputs == {"a": 3, "b": 4}
            assert (localrun.last.info.timeout, localrun.last.info.run_plan.retries) == (600, 2)
            fake_engine.plan(outputs={"sum": 7})
            localrun(a=5, timeout=60)
            assert localrun.last.info.inputs == {"a": 5, "b": 4}
            assert localrun.last.info.timeout == 60
        """
    )
    project.runpytest().assert_outcomes(passed=1)


def test_an_unknown_setting_fails_the_tests_with_its_line(project: pytest.Pytester) -> None:
    (project.path / "localrun.toml").write_text("timeuot = 3\n")
    project.makepyfile(
        """
        def test_sum(fake_engine, localrun):
            localrun(a=3, b=4)
        """
    )
    result = project.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*localrun.toml:1:1 timeuot: unknown setting; did you mean 'timeout'?*"])
