"""Many tiny containers: through the server, and with parallel `docker run`."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

from figures import Case, Chapter, Medians, Target, measure
from line import Line, localrun_server
from program import BUSYBOX

PARALLEL = (2, 4, 8)  # processes of xargs; the best result counts
TASK = {
    "image": BUSYBOX,
    "command": ["true"],
    # small, so that admission does not limit the number of concurrent tasks
    "resources": {"cpus": 0.25, "memory": "16Mi"},
}


def _faster(medians: Medians) -> float:
    return min(medians[f"xargs -P {count} docker run"] for count in PARALLEL) / medians["localrun serve"]


TARGETS = (Target("rate of tasks, server / xargs docker run", _faster, 2.0, least=True),)


def compare(folder: Path, *, rounds: int, tasks: int) -> Chapter:
    """Measure the time for this number of `tasks`."""
    with localrun_server(folder) as line:
        cases: dict[str, Case] = {"localrun serve": partial(_through_server, line.port, tasks)}
        for count in PARALLEL:
            cases[f"xargs -P {count} docker run"] = partial(_through_xargs, count, tasks)
        _through_server(line.port, 4)  # the first task looks up the image
        samples = measure(cases, rounds, warm=0)
    return Chapter(f"{tasks} tiny containers", samples, TARGETS, f"xargs -P {PARALLEL[0]} docker run")


def _through_server(port: int, tasks: int) -> None:
    """Submit the tasks one by one, then wait for each."""
    with closing(Line(port)) as line:  # a new connection: the server closes idle ones
        ids = [line.post("/task", {"task": TASK, "assigned_by": "bench"})["task_id"] for _ in range(tasks)]
        for task_id in ids:
            task = line.get(f"/task/{task_id}/wait?timeout=300")["task"]
            if task["state"] != "FINISHED":
                sys.exit(f"a task did not finish: {task}")


def _through_xargs(parallel: int, tasks: int) -> None:
    run = ["docker", "run", "--rm", "--network", "none", BUSYBOX, "true"]
    command = ["xargs", "-P", str(parallel), "-I{}", *run]
    names = "".join(f"{number}\n" for number in range(tasks))
    ran = subprocess.run(command, input=names, text=True, capture_output=True, check=False)
    if ran.returncode:
        sys.exit(f"xargs failed:\n{ran.stderr}")
