"""Many tiny containers: through the server, and by `docker run`, several at a time."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

from figures import Case, Chapter, Medians, Target, measure
from line import Line, localrun_server
from program import BUSYBOX

AT_ONCE = (2, 4, 8)  # of xargs: the best of them counts
TASK = {
    "image": BUSYBOX,
    "command": ["true"],
    # small, so that it is not admission which limits how many run at once
    "resources": {"cpus": 0.25, "memory": "16Mi"},
}


def _faster(medians: Medians) -> float:
    return min(medians[f"xargs -P {count} docker run"] for count in AT_ONCE) / medians["localrun serve"]


TARGETS = (Target("rate of tasks, server / xargs docker run", _faster, 1.8, least=True),)


def compare(folder: Path, *, rounds: int, tasks: int) -> Chapter:
    """Measure it: how long so many `tasks` take."""
    with localrun_server(folder) as line:
        cases: dict[str, Case] = {"localrun serve": partial(_through_server, line.port, tasks)}
        for count in AT_ONCE:
            cases[f"xargs -P {count} docker run"] = partial(_through_xargs, count, tasks)
        _through_server(line.port, 4)  # the first one looks the image up
        samples = measure(cases, rounds, warm=0)
    return Chapter(f"{tasks} tiny containers", samples, TARGETS, f"xargs -P {AT_ONCE[0]} docker run")


def _through_server(port: int, tasks: int) -> None:
    """Submit one by one, as clients do, then wait for each."""
    with closing(Line(port)) as line:  # made anew: a server hangs up on those who are silent for long
        made = [line.post("/task", {"task": TASK, "assigned_by": "bench"})["task_id"] for _ in range(tasks)]
        for task_id in made:
            task = line.get(f"/task/{task_id}/wait?timeout=300")["task"]
            if task["state"] != "FINISHED":
                sys.exit(f"a task did not finish: {task}")


def _through_xargs(at_once: int, tasks: int) -> None:
    run = ["docker", "run", "--rm", "--network", "none", BUSYBOX, "true"]
    command = ["xargs", "-P", str(at_once), "-I{}", *run]
    names = "".join(f"{number}\n" for number in range(tasks))
    ran = subprocess.run(command, input=names, text=True, capture_output=True, check=False)
    if ran.returncode:
        sys.exit(f"xargs failed:\n{ran.stderr}")
