"""Outputs of other tasks that do not come."""

from __future__ import annotations

from localrun.errors import Cause
from tests.faults.harness import FaultHarness, Observed, Row


def _stopped(bench: FaultHarness) -> Observed:
    """Stop a task while another one waits for its output."""
    first = bench.call("run", "-d", *bench.program("sleep 60"))
    given = [*bench.program("sleep 60")[:-1], f"script=@task:{first.out.strip()}/sum"]
    with bench.start("run", *given, "--json") as process:
        said = process.read_until("waiting for output 'sum' of task")
        bench.call("kill", first.out.strip(), "--now")
        result = process.result()
    return Observed(result.code, said + result.err, result.json)


ROWS = [
    Row(
        Cause.DEPENDENCY_FAILED,
        "a task whose output is needed is stopped",
        ("output 'sum' of task", "will not come: the task was stopped"),
        "and pass the output of the new task",
        provoke=_stopped,
    ),
]
