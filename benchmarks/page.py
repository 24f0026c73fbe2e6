"""The requests of the web page with 10,000 tasks, a log of 50 MB, and many idle readers of events.

Where Chromium is installed and the page is built, also the time until a browser has drawn the list.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from figures import Case, Chapter, Samples, Target, measure, report
from line import Line, localrun_server, request
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore

FEW, MANY = 10, 10_000
LINES = 1_000_000  # of a log of 50 MB
READERS = 100
IDLE = 10.0  # seconds
FIRST = f"GET /tasks, {MANY} tasks, the first time"
SEARCH = f"GET /tasks?q=..., {MANY} tasks"
LIST = f"GET /tasks, {MANY} tasks"
FIND = "GET logs?find=..., 50 MB"
LAST = "GET logs?tail=1000, 50 MB"
PAINT = f"first paint in Chromium, {MANY} tasks"
ROWS = f"rows in Chromium, {MANY} tasks"
IDLE_CASE = f"CPU per second, {READERS} idle readers"

TARGETS = (
    Target(FIRST, lambda m: m[FIRST], 5.0, "s"),
    Target(LIST, lambda m: m[LIST], 0.1, "s"),
    Target(SEARCH, lambda m: m[SEARCH], 0.2, "s"),
    Target(LAST, lambda m: m[LAST], 0.2, "s"),
    Target(FIND, lambda m: m[FIND], 0.5, "s"),
    Target(IDLE_CASE, lambda m: m[IDLE_CASE], 0.02, "s"),
)
IN_BROWSER = (
    Target(PAINT, lambda m: m[PAINT], 1.0, "s"),
    Target(ROWS, lambda m: m[ROWS], 1.5, "s"),
)
ASSETS = Path(__file__).parents[1] / "localrun/server/ui/assets/index.html"


def compare(folder: Path, *, rounds: int) -> Chapter:
    """Run the benchmark."""
    with ExitStack() as stack:
        lines = {count: stack.enter_context(_server(folder / str(count), count)) for count in (FEW, MANY)}
        many = lines[MANY]
        started = time.perf_counter()
        many.get("/tasks")
        samples: Samples = {FIRST: [time.perf_counter() - started]}
        task = many.get("/tasks?limit=1")["tasks"][0]["id"]
        cases: dict[str, Case] = {
            f"GET /tasks, {FEW} tasks": partial(lines[FEW].ask, request("GET", "/tasks")),
            LIST: partial(many.ask, request("GET", "/tasks")),
            SEARCH: partial(many.ask, request("GET", "/tasks?q=state:FAILED%20number-77")),
            f"GET /tasks?offset=9900, {MANY} tasks": partial(many.ask, request("GET", "/tasks?offset=9900")),
            LAST: partial(many.ask, request("GET", f"/task/{task}/logs?format=json&tail=1000")),
            FIND: partial(many.ask, request("GET", f"/task/{task}/logs?format=json&find=line%20999999")),
        }
        samples |= measure(cases, rounds, warm=1)
        samples |= _idle(many)
        program = shutil.which("chromium") or shutil.which("google-chrome")
        in_browser = _in_browser(program, many.port, rounds) if program and ASSETS.exists() else {}
        samples |= in_browser
    targets = TARGETS + (IN_BROWSER if in_browser else ())
    return Chapter("the web page", samples, targets, f"GET /tasks, {FEW} tasks")


def _in_browser(program: str, port: int, rounds: int) -> Samples:
    """Return the time from the start of a visit, without a cache, to its first paint and to the rows."""
    from playwright.sync_api import sync_playwright

    samples: Samples = {PAINT: [], ROWS: []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for number in range(rounds):
            report(f"visit {number + 1} of {rounds}")
            context = browser.new_context(viewport={"width": 1280, "height": 860})
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/ui/")
            found = page.wait_for_function(
                """() => {
                  const paint = performance.getEntriesByName("first-contentful-paint")[0];
                  const row = document.querySelector(".line.item a");
                  return row && paint && [paint.startTime, performance.now()];
                }"""
            ).json_value()
            for name, milliseconds in zip(samples, found, strict=True):
                samples[name].append(milliseconds / 1000)
            context.close()
        browser.close()
    return samples


def _idle(line: Line) -> Samples:
    """Return the CPU time of the server per second, without and with idle readers of its events."""
    server = psutil.Process(_owner_of(line.port))
    samples: Samples = {}
    with ExitStack() as stack:
        for name, count in (("CPU per second, no reader", 0), (IDLE_CASE, READERS)):
            for _ in range(count):
                reader = stack.enter_context(socket.create_connection(("127.0.0.1", line.port)))
                reader.sendall(request("GET", "/events"))
                reader.recv(1024)
            report(name)
            time.sleep(2)  # until the connections are idle
            before = sum(server.cpu_times()[:2])
            time.sleep(IDLE)
            samples[name] = [(sum(server.cpu_times()[:2]) - before) / IDLE]
    return samples


def _owner_of(port: int) -> int:
    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            assert connection.pid is not None
            return connection.pid
    raise SystemExit(f"no process listens on port {port}")


@contextmanager
def _server(folder: Path, count: int) -> Iterator[Line]:
    """Run a server in a folder with this number of ended tasks, the newest of which has a long log."""
    report(f"creating {count} tasks")
    store = TaskStore(folder / ".localrun")
    for number in range(count):
        state = TaskState.FAILED if number % 10 == 0 else TaskState.FINISHED
        workspace = store.create(f"task-{number:05}")
        at = 1_700_000_000.0 + number
        fields: dict[str, Any] = {"outputs": {"count": number, "text": f"value {number}"}}
        history = [(TaskState.CREATED, at), (state, at + 1)]
        name = f"number-{number}"
        record = TaskRecord(id=workspace.id, bundle="b", name=name, state=state, history=history, **fields)
        workspace.save(record.replace(folder=str(workspace.path)))
    workspace.logs.mkdir(parents=True)
    with workspace.log.open("w") as log:
        log.writelines(f"line {number:<8} of a log of fifty megabytes    \n" for number in range(LINES))
    with localrun_server(folder, home=folder / ".localrun") as line:
        yield line
