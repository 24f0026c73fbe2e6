"""The hot routes of the server with few and with many ended tasks, compared with an empty route.

The targets are for new connections, as of curl. Requests over a persistent connection are measured, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from figures import Case, Chapter, Medians, Samples, Target, measure, report
from line import Line, empty_server, localrun_server, request
from localrun import settings
from localrun.app import App

FEW, MANY, ACTIVE = 10, 10_000, 10
KEPT_OPEN = ", kept open"
BURST = 5  # consecutive requests of a kind
TASK: dict[str, Any] = {"position": [1, 2], "what": "look"}
SUBMISSION = {"task": TASK, "assigned_by": "ray"}


def _slower(route: str) -> Target:
    few, many = f"{route}, {FEW} ended", f"{route}, {MANY} ended"
    return Target(f"{route}: {MANY} ended / {FEW} ended", lambda m: m[many] / m[few], 1.3)


def _more_expensive(route: str, empty: str, limit: float) -> Target:
    def value(medians: Medians) -> float:
        return max(medians[f"{route}, {count} ended"] for count in (FEW, MANY)) / medians[empty]

    return Target(f"{route} / empty route", value, limit)


TARGETS = (
    _slower("GET /task/list"),
    _slower("POST /task"),
    _more_expensive("GET /task/list", "GET, empty route", 1.5),
    _more_expensive("POST /task", "POST, empty route", 2.0),
)


def compare(folder: Path, *, rounds: int) -> Chapter:
    """Run the benchmark. Lists come first, because every POST makes them longer."""
    folders = {count: folder / str(count) for count in (FEW, MANY)}
    for count, place in folders.items():
        report(f"creating {count} tasks")
        _end_tasks(place, count)
    with ExitStack() as stack:
        empty = stack.enter_context(empty_server(folder))
        servers = {count: stack.enter_context(_server(place, count)) for count, place in folders.items()}
        samples: Samples = {}
        for method, path, body in (("GET", "/task/list", None), ("POST", "/task", SUBMISSION)):
            samples |= measure(_cases(empty, servers, method, path, body), rounds, warm=2, burst=BURST)
    return Chapter("one request", samples, TARGETS, "GET, empty route")


def _cases(
    empty: Line, servers: dict[int, Line], method: str, path: str, body: object = None
) -> dict[str, Case]:
    empty_request, full_request = request(method, "/", body), request(method, path, body)
    empty_route = f"{method}, empty route"
    cases: dict[str, Case] = {
        empty_route: partial(empty.call, empty_request),
        f"{empty_route}{KEPT_OPEN}": partial(empty.ask, empty_request),
    }
    for count, line in servers.items():
        route = f"{method} {path}, {count} ended"
        cases[route] = partial(line.call, full_request)
        cases[f"{route}{KEPT_OPEN}"] = partial(line.ask, full_request)
    return cases


def _end_tasks(folder: Path, ended: int) -> None:
    app = App(settings.load({}, home=folder / "home", cache=folder / "cache"))
    for _ in range(ended):
        app.manager.complete_task(app.manager.create_task(TASK, "ray").id)
    app.close()


@contextmanager
def _server(folder: Path, ended: int) -> Iterator[Line]:
    """Run a server with some active tasks and this number of ended ones, all in memory."""
    with localrun_server(folder, keep_completed=MANY) as line:
        for _ in range(ACTIVE):
            line.post("/task", SUBMISSION)
        counts = line.get("/task/status")["task_manager"]
        if (counts["active_tasks_count"], counts["completed_tasks_count"]) != (ACTIVE, ended):
            sys.exit(f"unexpected numbers of tasks: {counts}")
        yield line
