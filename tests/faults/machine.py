"""Faults of the machine, its disks and its engine; stopped and orphaned tasks."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from localrun.app import App
from localrun.engines.base import ContainerSpec
from localrun.errors import Cause
from localrun.manager.request import Request
from localrun.settings import Settings
from tests.cli.command import Process
from tests.engines.forwarder import Forwarder
from tests.faults.harness import FaultHarness, Meanwhile, Observed, Row, run
from tests.faults.programs import HANGS, IGNORES
from tests.support.small_disk import FLOOD

_SECOND_TIME = f"echo 7 > /outputs/sum; [ -e /inputs/again ] && exit 0; {HANGS}"
_BUG = """\
from localrun import values
def collect(*_, **__):
    raise ZeroDivisionError("planted")
values.collect = collect
"""


def _on_small_disk(bench: FaultHarness, script: str, *, filled: bool = False) -> list[object]:
    disk = bench.small_disk("32m")
    if filled:
        with (disk / "full").open("wb") as stream:
            stream.write(bytes(32 * 1024**2 - 64 * 1024))
    return bench.program(script)


def _signalled(number: signal.Signals) -> Meanwhile:
    def send(_: FaultHarness, process: Process) -> None:
        process.send_signal(number)

    return send


def _twice(_: FaultHarness, process: Process) -> None:
    process.send_signal(signal.SIGINT)
    process.read_until("Ctrl+C again")
    process.send_signal(signal.SIGINT)


def _kill(bench: FaultHarness, _: Process) -> None:
    assert bench.call("kill", "last").code == 0


def _while_it_waits(bench: FaultHarness) -> Observed:
    """Send Ctrl+C to a task that is queued because the disk is full."""
    env = {"LOCALRUN_DISK_LIMIT": "0.01"}
    with bench.start("run", *bench.program("true"), "--json", **env) as process:
        why = process.read_until("disk-pressure: ")
        assert " % full, limit 0.01 %" in why
        process.send_signal(signal.SIGINT)
        result = process.result()
    return Observed(result.code, result.err, result.json)


def _waited(bench: FaultHarness, task_id: str) -> Observed:
    """Return the observed result of a process that waits for a task."""
    waited = bench.call("wait", task_id)
    record: dict[str, Any] = json.loads(bench.call("status", task_id, "--json").out)
    return Observed(waited.code, waited.err, record)


def _of_dead_process(bench: FaultHarness) -> Observed:
    """Kill the process that owns a task. The next run ends the task."""
    with bench.start("run", *bench.program(HANGS)) as process:
        process.read_until("out | ready")
        process.kill()
        process.wait()
    (left,) = bench.tasks()
    assert run(bench, *bench.program("echo 7 > /outputs/sum")).code == 0
    shown = _waited(bench, left["id"])
    assert f"process {process.pid} " in shown.text
    return shown


def _with_a_bug(bench: FaultHarness) -> Observed:
    bench.write("site/sitecustomize.py", _BUG)
    path = os.pathsep.join((str(bench.folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])))
    with bench.start("run", *bench.program("true"), "--json", PYTHONPATH=path) as process:
        result = process.result()
    shown = Observed(result.code, result.err, result.json)
    assert "planted" in Path(shown.record["folder"], "traceback.txt").read_text()
    return shown


def _cut_off(bench: FaultHarness) -> Observed:
    """Cut the connection to the engine while the task runs."""
    wire = Forwarder(bench.engine.address)
    env = {
        "LOCALRUN_DOCKER_HOST": f"tcp://127.0.0.1:{wire.port}",
        "LOCALRUN_ENGINE_PATIENCE": "0.5",
    }
    shown = run(bench, *bench.program(HANGS), meanwhile=lambda *_: wire.close(), **env)
    # as its remedy says: the next run ends the container
    assert run(bench, *bench.program("echo 7 > /outputs/sum")).code == 0
    return shown


def _restarted(bench: FaultHarness, script: str = HANGS, *more: object) -> Observed:
    """Disconnect the engine, stop the container, and reconnect."""
    wires = [Forwarder(bench.engine.address)]
    port = wires[0].port

    def restart(_: FaultHarness, process: Process) -> None:
        wires[0].close()
        process.read_until("lost the connection to the engine; waiting")
        (task,) = bench.tasks()
        submitted = Path(task["folder"], "inputs.submitted")
        if submitted.is_dir():  # the next attempt gets these inputs
            (submitted / "again").touch()
        bench.engine.stop(task["container"], 0)
        wires.append(Forwarder(bench.engine.address, port=port))

    env = {"LOCALRUN_DOCKER_HOST": f"tcp://127.0.0.1:{port}"}
    try:
        return run(bench, *bench.program(script), *more, meanwhile=restart, **env)
    finally:
        for wire in wires[1:]:
            wire.close()


def _named_twice(bench: FaultHarness) -> Observed:
    """Create a container with the name that the task's container will have."""
    task_id = "named-twice"
    handle = bench.engine.create(ContainerSpec(image=bench.image, name=f"localrun-{task_id}"))
    bench.closing.append(lambda: bench.engine.remove(handle))
    bench.program("true")
    folder = bench.folder
    settings = Settings(home=folder / "home", cache=folder / "cache", ledger=folder / "ledger" / "l.json")
    app = App(settings, bench.engine)
    request = Request(
        bench.folder / "descriptor.yml", image=bench.image, values={"script": bench.folder / "script"}
    )
    record = app.manager.wait(app.manager.submit(request, task_id=task_id))
    assert record is not None
    return _waited(bench, task_id)


RESOURCES = [
    Row(
        Cause.CPU_UNAVAILABLE,
        "more CPUs than the machine has",
        ("requested 999 CPUs, but this machine has ",),
        "`--cpus ",
        script="true",
        more=("--cpus", "999"),
    ),
    Row(
        Cause.MEMORY_UNAVAILABLE,
        "more memory than the machine has",
        ("requested 921600Gi of memory, but this machine has ",),
        "`--memory ",
        script="true",
        more=("--memory", "900Ti"),
    ),
    Row(
        Cause.GPU_UNAVAILABLE,
        "a GPU on a machine without one",
        ("requested 1 GPU, but the engine on this machine has none",),
        "--gpus 0",
        script="true",
        more=("--gpus", "1"),
    ),
    Row(
        Cause.CPU_UNAVAILABLE,
        "multiple missing resources",
        ("999 CPUs", "921600Gi of memory", "1 GPU"),
        "--gpus 0",
        script="true",
        more=("--cpus", "999", "--memory", "900Ti", "--gpus", "1"),
    ),
    Row(
        Cause.DISK_UNAVAILABLE,
        "less free disk space than the reserve",
        ("free, but 931322Gi must stay free",),
        "free disk space there",
        script="true",
        env={"LOCALRUN_DISK_RESERVE": str(10**15)},
    ),
    Row(
        Cause.DISK_PRESSURE,
        "a task that fills the disk",
        ("full, limit 70 %; the task had written ",),
        "Free disk space",
        arrange=lambda bench: _on_small_disk(bench, FLOOD),
        env={"LOCALRUN_DISK_STOP": "70", "LOCALRUN_DISK_RESERVE": "0"},
        facts={"oom": "no"},
    ),
    Row(
        Cause.DISK_FULL,
        "a task that has filled the disk",
        ("No space left on device", "exit code 1"),
        "Free disk space",
        arrange=lambda bench: _on_small_disk(bench, "dd if=/dev/zero of=/outputs/sum bs=1M count=128"),
        env={"LOCALRUN_DISK_STOP": "100", "LOCALRUN_DISK_RESERVE": "0"},
    ),
    Row(
        Cause.DISK_FULL,
        "a disk too full for the task folder",
        ("no space left on the disk of ", "/disk/home"),
        "LOCALRUN_HOME",
        arrange=lambda bench: _on_small_disk(bench, "true", filled=True),
        env={"LOCALRUN_DISK_RESERVE": "0", "LOCALRUN_DISK_LIMIT": "100"},
    ),
]
ENGINE = [
    Row(
        Cause.ENGINE_UNREACHABLE,
        "no socket",
        ("cannot connect to a container engine at unix:///nowhere.sock", "No such file or directory"),
        "start the engine",
        script="true",
        env={"LOCALRUN_DOCKER_HOST": "unix:///nowhere.sock"},
    ),
    Row(
        Cause.ENGINE_UNREACHABLE,
        "a closed port",
        ("cannot connect to a container engine at tcp://127.0.0.1:1", "Connection refused"),
        "start the engine",
        script="true",
        env={"LOCALRUN_DOCKER_HOST": "tcp://127.0.0.1:1"},
    ),
    Row(
        Cause.ENGINE_UNREACHABLE,
        "an invalid address",
        ("'nonsense'",),
        "unix:///path/to/docker.sock",
        script="true",
        env={"LOCALRUN_DOCKER_HOST": "nonsense"},
    ),
    Row(
        Cause.ENGINE_LOST,
        "an engine that stops for good",
        ("the engine was lost while the task ran and did not come back within 0.5 s",),
        "start the engine",
        provoke=_cut_off,
    ),
    Row(
        Cause.ENGINE_LOST,
        "an engine that is restarted and ends its containers",
        ("the engine was restarted while the task ran, and stopped it (exit code ", "ready"),
        "run the task again",
        provoke=_restarted,
    ),
    Row(
        None,
        "an engine restart with a retry left",
        ("the container was lost in an engine restart; running the task again",),
        provoke=lambda bench: _restarted(bench, _SECOND_TIME, "--retries", 1, "--writable-inputs"),
    ),
    Row(
        Cause.ENGINE_FAILED,
        "an unexpected engine error",
        ("localrun-named-twice", "in use"),
        "remove the container with this name",
        provoke=_named_twice,
    ),
    Row(
        Cause.INTERNAL,
        "a bug in localrun",
        ("localrun itself failed: ZeroDivisionError: planted",),
        "traceback.txt",
        provoke=_with_a_bug,
    ),
]
STOPPED = [
    Row(
        Cause.KILLED,
        "Ctrl+C",
        ("stopped on request",),
        script=HANGS,
        meanwhile=_signalled(signal.SIGINT),
        facts={"exit_code": 143, "state": "KILLED"},
    ),
    Row(
        Cause.KILLED,
        "a second Ctrl+C",
        ("stopped on request",),
        script=IGNORES,
        meanwhile=_twice,
        facts={"exit_code": 137, "oom": "no", "state": "KILLED"},
    ),
    Row(
        Cause.KILLED,
        "SIGTERM",
        ("stopped on request",),
        script=HANGS,
        meanwhile=_signalled(signal.SIGTERM),
        facts={"exit_code": 143, "state": "KILLED"},
    ),
    Row(
        Cause.KILLED,
        "another process",
        ("stopped on request",),
        script=HANGS,
        meanwhile=_kill,
        facts={"exit_code": 143, "state": "KILLED"},
    ),
    Row(
        Cause.KILLED,
        "Ctrl+C while it waits for room",
        ("stopped on request",),
        provoke=_while_it_waits,
        facts={"exit_code": None, "state": "KILLED"},
    ),
    Row(
        Cause.RUNNER_TERMINATED,
        "a process that was killed",
        ("the localrun process ", "died before the task ended", "ready"),
        "Run it again",
        provoke=_of_dead_process,
    ),
]
ROWS = [*RESOURCES, *ENGINE, *STOPPED]
