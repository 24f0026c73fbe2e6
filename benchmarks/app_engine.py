"""A run over App Engine's API, from the request to start it until it is FINISHED, and `localrun run`."""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path

from commands import Environment
from figures import Chapter, Target, measure
from line import Line, localrun_server, request
from localrun.api.remote.connection import FormFile, ServerConnection

API = "/app-engine/v1"
TASK = f"{API}/tasks/localrun.bench.copy/1.0.0"
_PAUSE = 0.005  # seconds between two requests for the state
_WARM = 2  # rounds that are not counted

TARGETS = (
    Target("RUNNING to FINISHED / localrun run", lambda m: m["RUNNING to FINISHED"] / m["localrun run"], 1.2),
)


def compare(folder: Path, *, rounds: int) -> Chapter:
    """Run the benchmark with the task of the commands. The runs are provisioned before they are measured."""
    env = Environment(folder)
    try:
        bundle = env.add("tiny", 0)
        with localrun_server(folder / "server") as line:
            connection = ServerConnection(f"http://127.0.0.1:{line.port}{API}")
            connection.send_form("tasks", [FormFile("task", "bundle", bundle)])
            runs = deque(_provisioned(line) for _ in range(rounds + _WARM))
            cases = {
                "localrun run": lambda: env.whole_process("tiny"),
                "RUNNING to FINISHED": lambda: _finish(line, runs.popleft()),
            }
            samples = measure(cases, rounds, warm=_WARM)
    finally:
        env.remove_images()
    return Chapter("a run over App Engine's API", samples, TARGETS, "localrun run")


def _provisioned(line: Line) -> str:
    run: str = line.post(f"{TASK}/runs", {})["id"]
    provision = {"parameterName": "text", "value": "hello"}
    line.ask(request("PUT", f"{API}/task-runs/{run}/input-provisions/text", provision))
    return run


def _finish(line: Line, run: str) -> None:
    line.post(f"{API}/task-runs/{run}/state-actions", {"desired": "RUNNING"})
    while (state := line.get(f"{API}/task-runs/{run}")["state"]) != "FINISHED":
        if state == "FAILED":
            sys.exit(f"the run {run} failed")
        time.sleep(_PAUSE)
