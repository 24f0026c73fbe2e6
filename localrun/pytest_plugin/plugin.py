"""The pytest hooks. Imported at every start of pytest, so imports are kept to a minimum."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from localrun.pytest_plugin import case_discovery, leftovers, options, reporting, tracebacks, waits

pytest_plugins = ("localrun.pytest_plugin.fixtures",)

_MARKER = (
    "localrun(cases=None, **options): the test needs a container engine and is skipped without one (an error"
    " if CI is set). `cases` is the folder of its cases, next to the test file; the options are those of"
    " localrun.submit, such as timeout and memory."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.register(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[options.SESSION_OPTIONS] = options.read(config)
    config.stash[leftovers.RESOURCES] = leftovers.SessionResources()
    config.stash[waits.WAITS] = waits.Waits()
    config.addinivalue_line("markers", _MARKER)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    case_discovery.parametrize(metafunc)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Require an engine for marked tests."""
    if item.get_closest_marker("localrun") is None:
        return
    names = getattr(item, "fixturenames", None)
    if names is not None and "fake_engine" not in names:
        names.insert(0, "localrun_docker")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach information on the test's tasks to its report."""
    if call.when == "call":
        reporting.add_properties(item)
    if call.when == "setup":
        item.config.stash[waits.WAITS].move_to(item)
    report = yield
    if report.failed and call.excinfo is not None:
        report.longrepr = tracebacks.shortened(item, call.excinfo) or report.longrepr
    if report.failed:
        item.stash[reporting.FAILED] = True
        reporting.add_sections(item, report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ARG001 - signature of xdist
    leftovers.merge_worker(node.config, node)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    resources = config.stash[leftovers.RESOURCES]
    if resources.reaper is not None:
        resources.reaper.close()
    action = config.stash[options.SESSION_OPTIONS].leaks
    if leftovers.send_to_controller(config) or action == "ignore":
        return
    resources.find_leftovers()
    if resources.leftovers and action == "error" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    updates = reporting.updates(terminalreporter)
    waited = waits.summary(terminalreporter)
    left = config.stash[leftovers.RESOURCES].leftovers
    if updates:
        terminalreporter.section("localrun: updated expectations")
        for text in updates:
            terminalreporter.line(text)
    if waited:
        terminalreporter.section("localrun: waits")
        for line in waited:
            terminalreporter.line(line)
    if left:
        terminalreporter.section("localrun: leftovers", red=True)
        for line in left:
            terminalreporter.line(line)
