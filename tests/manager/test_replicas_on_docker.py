"""Replicas in real containers: variation, hints, and clean-up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import localrun
from localrun.app import App
from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_HOME
from localrun.manager.request import Request
from localrun.settings import Settings
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.values import load_values
from tests.cli.command import Process, call
from tests.support.samples import BASE_IMAGE, remove_new_images

pytestmark = pytest.mark.docker
SAMPLES = Path(__file__).parents[2] / "samples"
DESCRIPTOR = """\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Surroundings
name_short: surroundings
version: 1.0.0
namespace: com.example.surroundings
authors:
  - {first_name: A, last_name: B, organization: C, email: a@example.com}
configuration:
  input_folder: /inputs
  output_folder: /outputs
  resources: {ram: 64Mi, cpus: 1}
inputs: {}
outputs:
  around: {type: string, description: what it sees, display_name: Around}
"""


@pytest.fixture
def app(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[App]:
    places = Settings(home=tmp_path / "home", cache=tmp_path / "cache", ledger=tmp_path / "ledger.json")
    with remove_new_images(places.home):
        made = App(places, docker_engine)
        yield made
        made.manager.shutdown(0)


def run(app: App, sample: str, replicas: int) -> TaskRecord:
    request = Request(
        bundle=SAMPLES / sample,
        values=load_values(SAMPLES / sample / "inputs.json"),
        build_args={"BASE_IMAGE": BASE_IMAGE},
        replicas=replicas,
    )
    record = app.manager.wait(app.manager.submit(request))
    assert record is not None
    return record


def test_the_sample_that_does_not_agree_is_found_out_file_by_file_with_its_reasons(app: App) -> None:
    # When it runs three times
    record = run(app, "nondeterministic", 3)

    # Then it fails, each of its three faults is found, and correct outputs are not reported
    assert (record.state, record.cause) == (TaskState.FAILED, "NO_CONSENSUS")
    assert record.replication is not None
    found = {one.path: one for one in record.replication.disagreements}
    assert sorted(found) == ["copy", "report", "vocabulary"]
    hints = {path: "; ".join(one.hints) for path, one in found.items()}
    assert "gzip" in hints["copy"]
    assert found["copy"].offset == 4
    assert "the host name" in hints["report"]
    assert "a date or a time of day" in hints["report"]
    assert "the same lines in another order" in hints["vocabulary"]


def test_the_sample_that_agrees_finishes(app: App) -> None:
    record = run(app, "add-integers", 2)
    assert (record.state, record.outputs) == (TaskState.FINISHED, {"sum": 7})


def test_host_name_time_zone_seed_and_second_of_the_start_are_really_different(
    app: App, busybox: str, tmp_path: Path
) -> None:
    # Given a program that prints its environment
    bundle = tmp_path / "descriptor.yml"
    bundle.write_text(DESCRIPTOR)
    script = 'echo "$(hostname) $(date +%z) $PYTHONHASHSEED" > /outputs/around'
    request = Request(bundle=bundle, image=busybox, pull="never", command=["sh", "-c", script], replicas=3)

    # When it runs three times
    record = app.manager.wait(app.manager.submit(request))

    # Then no two see the same
    assert record is not None
    replicas = app.replicas(record)
    assert [str(one.outputs["around"]).split() for one in replicas] == [
        ["replica-1", "-1200", "1"],
        ["replica-2", "+1400", "2"],
        ["replica-3", "+0000", "3"],
    ]
    starts = [entered for one in replicas for state, entered in one.history if state is TaskState.RUNNING]
    assert [later - earlier > 1.0 for earlier, later in pairwise(starts)] == [True, True]


WAITING = ["sh", "-c", 'echo begun; trap "exit 3" TERM; sleep 60 & wait']


def waiting(folder: Path, busybox: str) -> Process:
    """Start `localrun run` with two replicas that take a minute; return when both run."""
    (folder / "Dockerfile").write_text(f"FROM {busybox}\nCMD {json.dumps(WAITING)}\n")
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    process = Process("run", str(folder), "--replicas", "2", "--json", cwd=folder, env=environment(folder))
    process.read_until("replica 2 starts")
    return process


def environment(folder: Path) -> dict[str, str]:
    return {"LOCALRUN_CACHE": str(folder / "cache"), "LOCALRUN_LEDGER": str(folder / "ledger.json")}


def containers_of(engine: DockerEngine, folder: Path) -> list[str]:
    home = str(folder / ".localrun")
    return [found.handle for found in engine.find({LABEL_HOME: home})]


def listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    told = call("list", "-a", "--json", cwd=folder, env=environment(folder), capsys=capsys)
    found: list[dict[str, Any]] = told.json
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_task_and_all_replicas(
    docker_engine: DockerEngine,
    busybox: str,
    tmp_path: Path,
    number: signal.Signals,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with remove_new_images(tmp_path / ".localrun"):
        process = waiting(tmp_path, busybox)
        process.send_signal(number)
        result = process.result()
        assert (result.code, result.json["state"]) == (130, "KILLED")
        assert {one["state"] for one in listed(tmp_path, capsys)} == {"KILLED"}
        assert containers_of(docker_engine, tmp_path) == []


def test_what_a_killed_process_left_of_replicas_is_ended_by_the_next_one(
    docker_engine: DockerEngine, busybox: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with remove_new_images(tmp_path / ".localrun"):
        # Given a process that is killed with SIGKILL while two replicas run
        process = waiting(tmp_path, busybox)
        process.send_signal(signal.SIGKILL)
        process.result()

        # When another process kills the task
        ended = call(
            "kill", "last", "--now", "--json", cwd=tmp_path, env=environment(tmp_path), capsys=capsys
        )

        # Then the task and its replicas have ended without leftover containers. Another localrun may
        # have ended a replica first.
        assert (ended.code, ended.json["state"]) == (0, "KILLED")
        assert {one["state"] for one in listed(tmp_path, capsys)} <= {"KILLED", "FAILED"}
        assert containers_of(docker_engine, tmp_path) == []
        assert os.listdir(tmp_path / ".localrun" / "active") == []  # noqa: PTH208 - names


def test_python_runs_replicas_and_gets_their_outputs(docker_engine: DockerEngine, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with remove_new_images(home):
        app = App(
            Settings(home=home, cache=tmp_path / "cache", ledger=tmp_path / "ledger.json"), docker_engine
        )
        with localrun.using(app):
            arguments: dict[str, Any] = {"build_args": {"BASE_IMAGE": BASE_IMAGE}, "home": home}
            bundle = SAMPLES / "add-integers"
            assert localrun.run(bundle, a=3, b=4, replicas=2, **arguments) == {"sum": 7}
            task = localrun.Task("last", home)
            assert [one.outputs for one in task.replicas] == [{"sum": 7}] * 2
            text = load_values(SAMPLES / "nondeterministic" / "inputs.json")
            with pytest.raises(localrun.TaskFailed) as failed:
                localrun.run(SAMPLES / "nondeterministic", inputs=text, replicas=2, **arguments)
            assert failed.value.record.replication is not None
            assert str(failed.value.cause) == "NO_CONSENSUS"


SUBMIT = """
import sys, localrun
print(localrun.submit(sys.argv[1], replicas=3, home=sys.argv[2]).id)
"""
AWAIT = """
import sys, localrun
task = localrun.Task(sys.argv[1], sys.argv[2])
print(task.wait(), task.outputs, [replica.status for replica in task.replicas])
"""


def python(script: str, *arguments: object, folder: Path) -> str:
    """Run a script as a process, and return its output."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **environment(folder)},
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    ).stdout


def test_replicas_outlive_the_script_that_submitted_them_and_who_waits_carries_all_on(
    docker_engine: DockerEngine, busybox: str, tmp_path: Path
) -> None:
    bundle, home = tmp_path / "bundle", tmp_path / "home"
    bundle.mkdir()
    script = "sleep 1; echo same > /outputs/around"
    (bundle / "Dockerfile").write_text(f"FROM {busybox}\nCMD {json.dumps(['sh', '-c', script])}\n")
    (bundle / "descriptor.yml").write_text(DESCRIPTOR)
    with remove_new_images(home):
        # Given a script that submits a task with replicas and exits before all of them have started
        task_id = python(SUBMIT, bundle, home, folder=tmp_path).strip()
        begun = [path.name for path in (home / "tasks").iterdir()]
        assert 2 <= len(begun) < 4

        # When another script waits for it
        said = python(AWAIT, task_id, home, folder=tmp_path)

        # Then it ends as usual
        assert said.split()[0] == "FINISHED"
        assert "'around': 'same'" in said
        assert said.count("'FINISHED'") == 3
        assert docker_engine.find({LABEL_HOME: str(home)}) == []


@pytest.mark.parametrize(("result", "code"), [("same", 0), ("$(hostname)", 9)])
def test_replicas_of_an_iexec_app_are_compared_by_what_computed_json_names(
    busybox: str, tmp_path: Path, result: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given an app that prints its host name, which iExec stores next to the result
    computed = '{"deterministic-output-path": "/iexec_out/result"}'
    writes = f"mkdir /iexec_out/result; echo {result} > /iexec_out/result/x"
    script = f"hostname; {writes}; echo '{computed}' > /iexec_out/computed.json"
    (tmp_path / "Dockerfile").write_text(f"FROM {busybox}\nCMD {json.dumps(['sh', '-c', script])}\n")
    with remove_new_images(tmp_path / ".localrun"):
        # When it runs twice
        arguments = ("run", "--profile", "iexec", ".", "--replicas", "2", "--json")
        ran = call(*arguments, cwd=tmp_path, env=environment(tmp_path), capsys=capsys)

        # Then only the result counts, and the digest is iExec's
        assert ran.code == code, ran.err
        differing = [one["path"] for one in ran.json["replication"]["disagreements"]]
        assert differing == ([] if code == 0 else ["result/x"])
        shown = call("debug", "last", "--raw", cwd=tmp_path, env=environment(tmp_path), capsys=capsys).json
        assert shown["local"]["consensusValue"] == ran.json["outputs"].get("digest")
