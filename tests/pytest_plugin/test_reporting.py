"""Tasks in test reports: sections to read, properties to parse."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

import localrun.pytest_plugin.fake  # noqa: F401 - what is imported before stays the same in the sessions within

TWO = """
def test_two(fake_engine, localrun):
    fake_engine.plan(outputs={"sum": 7})
    fake_engine.plan(exit_code=3, stderr="no luck")
    localrun(a=3, b=4)
    localrun.submit(a=3, b=4).wait()
    assert localrun.last.status == "FINISHED"
"""


def test_events_log_and_outputs_of_every_task_of_a_failed_test_are_shown(project: pytest.Pytester) -> None:
    project.makepyfile(TWO)
    result = project.runpytest()
    result.stdout.fnmatch_lines(
        [
            "*localrun task ????????: FINISHED*",
            "Timeline:",
            "output sum: 7",
            "folder */localrun/tasks/*",
            "*localrun task ????????: events*",
            "+  0.000 s  state    CREATED",
            "*step     task started",
            "*localrun task ????????: FAILED (EXIT_NONZERO)*",
            "*the task failed with exit code 3*",
            "*localrun task ????????: log*",
            "no luck",
        ]
    )


def test_failed_tasks_are_shown_in_full_and_others_by_name(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_many(fake_engine, localrun):
            fake_engine.plan(exit_code=3, stderr="x" * 1_000_000 + "end of the line")
            fake_engine.plan(outputs={"sum": 7})
            for number in range(10):
                localrun.submit(a=number, b=4).wait()
            assert False
        """
    )
    result = project.runpytest()
    result.stdout.fnmatch_lines(
        [
            "*localrun task ????????: FAILED (EXIT_NONZERO)*",
            "*end of the line",
            "*localrun: 4 more tasks of this test*",
            "???????? FINISHED",
        ]
    )
    assert sum(line.endswith("log --------------------------") for line in result.outlines) == 1
    assert len(result.stdout.str()) < 200_000


def test_a_test_that_passed_shows_nothing(project: pytest.Pytester) -> None:
    project.makepyfile(TWO.replace("FINISHED", "FAILED"))
    project.runpytest("-rA").stdout.no_fnmatch_line("*localrun task*")


def test_junit_has_the_end_of_every_task(project: pytest.Pytester) -> None:
    project.makepyfile(TWO)
    project.runpytest("--junitxml=report.xml")
    root = ElementTree.parse(project.path / "report.xml").getroot()
    found = [(one.get("name"), one.get("value")) for one in root.iter("property")]
    told = [pair for pair in found if pair[0] not in ("localrun.task", "localrun.seconds")]
    assert told[:2] == [("localrun.state", "FINISHED"), ("localrun.exit_code", "0")]
    assert told[2:4] == [("localrun.state", "FAILED"), ("localrun.cause", "EXIT_NONZERO")]
    assert str(told[4][1]).startswith("the task failed with exit code 3")
    assert told[5:] == [("localrun.exit_code", "3")]
    assert [name for name, _ in found].count("localrun.task") == 2


@pytest.mark.parametrize(
    ("keep", "passes", "stays"),
    [
        ("failed", True, False),
        ("failed", False, True),
        ("never", False, False),
        ("always", True, True),
    ],
)
def test_the_folder_is_kept_as_configured(
    project: pytest.Pytester, keep: str, passes: bool, stays: bool
) -> None:
    project.makepyfile(TWO.replace("FINISHED", "FAILED") if passes else TWO)
    project.runpytest("--localrun-keep", keep, "--basetemp", str(project.path / "t"))
    assert bool(list((project.path / "t").rglob("task.json"))) is stays


def test_tasks_are_kept_in_a_configured_folder(project: pytest.Pytester) -> None:
    project.makepyfile(TWO)
    project.runpytest("--localrun-folder", "kept")
    assert len(list((project.path / "kept").glob("test_two-*/localrun/tasks/*/task.json"))) == 2
    project.makepyfile(TWO.replace("FINISHED", "FAILED"))
    project.runpytest("--localrun-folder", "empty")
    assert list((project.path / "empty").iterdir()) == []
