"""What pytest calls. It is imported at every start of pytest, so it imports next to nothing itself."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from localrun.pytest_plugin import case_discovery, leftovers, options, reporting

pytest_plugins = ("localrun.pytest_plugin.fixtures",)

_MARKER = (
    "localrun(cases=None, **options): the test needs a container engine, and is skipped without one (an error"
    " where CI is set). `cases` is the folder of its cases, beside the test file; the options are those of"
    " localrun.submit, such as timeout and memory."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tell pytest of the options."""
    options.register(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, and tell pytest of the marker."""
    config.stash[options.SESSION_OPTIONS] = options.read(config)
    config.stash[leftovers.RESOURCES] = leftovers.SessionResources()
    config.addinivalue_line("markers", _MARKER)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each case."""
    case_discovery.parametrize(metafunc)


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test that is marked gets no further without an engine."""
    if item.get_closest_marker("localrun") is None:
        return
    names = getattr(item, "fixturenames", None)
    if names is not None and "fake_engine" not in names:
        names.insert(0, "localrun_docker")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach what the test's tasks did."""
    if call.when == "call":
        reporting.add_properties(item)
    report = yield
    if report.failed:
        item.stash[reporting.FAILED] = True
        reporting.add_sections(item, report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ARG001 - the signature is that of xdist
    """Take over what a worker of xdist has used."""
    leftovers.merge_worker(node.config, node)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that left something behind."""
    config = session.config
    used = config.stash[leftovers.RESOURCES]
    if used.reaper is not None:
        used.reaper.close()
    how = config.stash[options.SESSION_OPTIONS].leaks
    if leftovers.send_to_controller(config) or how == "ignore":
        return
    used.find_leftovers()
    if used.leftovers and how == "error" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was updated, and what was left behind."""
    updates = reporting.updates(terminalreporter)
    left = config.stash[leftovers.RESOURCES].leftovers
    if updates:
        terminalreporter.section("localrun: new expectations")
        for text in updates:
            terminalreporter.line(text)
    if left:
        terminalreporter.section("localrun: left behind", red=True)
        for line in left:
            terminalreporter.line(line)
