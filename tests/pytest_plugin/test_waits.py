"""Waits of tests in the report: for processors and other resources, and for a lock."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

import localrun.pytest_plugin.fake  # noqa: F401 - what is imported before stays the same in the sessions within

WAITING = """
import threading, time

def test_waits(fake_engine, localrun, localrun_app):
    release = threading.Event()
    def program(container):
        container.path("/outputs/sum").write_text("1")
        return 0 if release.wait(60) else 1

    fake_engine.plan(program)
    cpus = localrun_app.engine.info().cpus
    first = localrun.submit(a=1, b=2, cpus=cpus)
    first.wait_for("RUNNING")
    second = localrun.submit(a=1, b=2, cpus=cpus)
    while "cpu" not in second.info.message:
        time.sleep(0.01)
    time.sleep(0.1)
    release.set()
    localrun.outputs_of(first), localrun.outputs_of(second)

def test_does_not_wait(fake_engine, localrun):
    fake_engine.plan(outputs={"sum": 7})
    localrun(a=1, b=2)
"""


def test_the_report_says_how_long_tests_waited_for_a_processor(project: pytest.Pytester) -> None:
    project.makepyfile(WAITING)
    result = project.runpytest("--junitxml", "report.xml", "-o", "junit_family=legacy")
    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines(
        [
            r"=+ localrun: waits =+",
            r"tests waited \d+\.\d\d s for a processor",
            r" +\d+\.\d\d s  \S+::test_waits",
        ]
    )
    assert "test_does_not_wait" not in result.stdout.str()
    cases = ElementTree.parse(project.path / "report.xml").findall(".//testcase")
    found = [
        {one.attrib["name"] for one in case.iter("property") if "waited" in one.attrib["name"]}
        for case in cases
    ]
    assert found == [{"localrun.waited.cpu"}, set()]


def test_workers_of_xdist_report_it_too(project: pytest.Pytester) -> None:
    project.makepyfile(WAITING)
    result = project.runpytest("-n", "1")
    result.stdout.re_match_lines([r"tests waited \d+\.\d\d s for a processor"])


def test_a_wait_for_the_image_of_another_process_is_reported(project: pytest.Pytester) -> None:
    project.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def localrun_docker():
            from localrun.pytest_plugin import ScriptedEngine
            return ScriptedEngine()

        @pytest.fixture(autouse=True, scope="session")
        def _other_process(localrun_docker):
            from localrun.pytest_plugin import bundle

            def ensure_image(*_args, on_lock, **_options):
                on_lock(2.5)
                return localrun_docker.add_image("any:1")

            original, bundle.ensure_image = bundle.ensure_image, ensure_image
            yield
            bundle.ensure_image = original
        """
    )
    project.makepyfile("def test_one(localrun_bundle): pass\ndef test_two(localrun_bundle): pass")
    result = project.runpytest()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["tests waited 2.50 s for a lock", "    2.50 s  *::test_one"])
    assert "test_two" not in result.stdout.str()


def test_without_waits_there_is_no_section(project: pytest.Pytester) -> None:
    project.makepyfile("def test_nothing(): pass")
    project.runpytest().stdout.no_fnmatch_line("*localrun: waits*")
