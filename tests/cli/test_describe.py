"""`localrun describe`: tasks in the form of `kubectl describe pod`."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from localrun.cli.describe.format import format_age, format_lines
from localrun.engines.base import Exit
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.errors import Cause
from localrun.platforms.vocabulary import glossary
from localrun.report.details import description, event_rows
from localrun.report.details.description import describe
from localrun.task.active import ActiveTask
from localrun.task.events import Event
from localrun.task.record import ProcessId, Resources, RunPlan, StepRecord, TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace
from tests.cli.command import Command, add
from tests.support.busybox_image import busybox_image
from tests.support.environment import DESCRIPTOR, IMAGE, make_environment

_S = TaskState


def after(text: str, head: str) -> list[str]:
    """Return the lines below the line `head`."""
    rows = text.splitlines()
    return rows[rows.index(head) + 1 :]


def value(rows: list[str], name: str) -> str:
    """Return the value of the first line with that name."""
    return next(row for row in rows if row.strip().startswith(f"{name}:")).split(":", 1)[1].strip()


def reasons(found: dict[str, Any]) -> list[str]:
    return [event["reason"] for event in found["events"]]


# -- tasks that were run ----------------------------------------------------------------------------


def test_the_sheet_shows_three_containers_each_with_its_end(localrun: Command) -> None:
    localrun.run()
    shown = localrun("describe", "last")
    assert shown.code == 0
    for head, name, reason in (
        ("Init Containers:", "permissions", "Completed"),
        ("Containers:", "task", "Completed"),
        ("Containers:", "outputs", "Completed"),
    ):
        rows = after("\n".join(after(shown.out, head)), f"  {name}:")
        assert (value(rows, "State"), value(rows, "Reason"), value(rows, "Exit Code")) == (
            "Terminated",
            reason,
            "0",
        )
        assert time.strptime(value(rows, "Started"), "%a, %d %b %Y %H:%M:%S %z")


def test_the_tasks_own_container_shows_its_image_limits_and_mounts(localrun: Command) -> None:
    task_id = localrun.run("--json").json["id"]
    rows = after(localrun("describe", task_id[:8]).out, "  task:")
    assert len(value(rows, "Container ID")) == 64
    assert value(rows, "Image") == IMAGE
    assert value(rows, "Image ID").startswith("sha256:")
    assert after("\n".join(rows), "    Limits:")[:3] == [
        "      cpu:     1",
        "      memory:  64Mi",
        "      pids:    4096",
    ]
    assert after("\n".join(rows), "    Requests:")[:2] == ["      cpu:     1", "      memory:  64Mi"]
    assert after("\n".join(rows), "    Mounts:")[:3] == [
        "      /inputs from inputs (ro)",
        "      /outputs from outputs (rw)",
        "      /etc/hosts from hosts (ro)",
    ]
    assert value(rows, "Environment") == "<none>"


def test_the_events_tell_the_way_of_a_task_as_kubernetes_does(localrun: Command) -> None:
    localrun.run()
    table = after(localrun("describe", "last").out, "Events:")
    assert table[0].split() == ["Type", "Reason", "Age", "From", "Message"]
    assert [row.split()[:2] for row in table[2:]] == [
        ["Normal", "Submitted"],
        ["Normal", "Scheduled"],
        ["Normal", "Pulling"],
        ["Normal", "Pulled"],
        ["Normal", "Started"],
        ["Normal", "Created"],
        ["Normal", "Started"],
        ["Normal", "Started"],
        ["Normal", "Completed"],
    ]
    assert "already present on machine" in table[5]
    assert "1 CPU, 64 MiB reserved" in table[3]


@pytest.mark.parametrize(
    ("end", "reason", "event"),
    [
        (Exit(137, oom_killed=True), "OOMKilled", "OOMKilled"),
        (Exit(3), "Error", "Failed"),
        (Exit(139), "Error", "Failed"),
    ],
)
def test_a_container_that_failed_says_how(localrun: Command, end: Exit, reason: str, event: str) -> None:
    localrun.program = lambda container: end
    localrun.run()
    found = localrun("describe", "last", "--json").json
    task = found["containers"][1]
    assert (task["state"], task["reason"], task["exit_code"]) == ("Terminated", reason, end.code)
    assert found["phase"] == "Failed"
    assert (found["events"][-1]["type"], found["events"][-1]["reason"]) == ("Warning", event)
    assert value(after(localrun("describe", "last").out, "  task:"), "Reason") == reason


def test_outputs_that_do_not_fit_are_an_event_of_their_own(localrun: Command) -> None:
    localrun.program = lambda container: 0
    localrun.run()
    assert "OutputsInvalid" in reasons(localrun("describe", "last", "--json").json)


def test_a_task_whose_image_is_missing_never_began_and_says_so(localrun: Command) -> None:
    given = ("--image", "nowhere:1", "--pull", "never", "-i", "a=1", "-i", "b=2")
    assert localrun("run", localrun.bundle, *given).code == 3
    found = localrun("describe", "last", "--json").json
    assert {one["state"] for one in found["containers"]} == {"Waiting"}
    assert {one["reason"] for one in found["containers"]} == {"NotReached"}
    assert found["events"][-1]["reason"] == "ErrImageNeverPull"
    assert "Pulled" not in reasons(found)
    assert localrun("describe", "last").code == 0


def test_a_task_that_runs_is_shown_as_it_is(localrun: Command, tmp_path: Path) -> None:
    seen: list[Any] = []

    def look(container: FakeContainer) -> int:
        (home,) = tmp_path.glob("home/tasks/*")
        workspace = Workspace(home)
        deadline = time.monotonic() + 60
        while workspace.load().state is not TaskState.RUNNING and time.monotonic() < deadline:
            container.stopped.wait(0.01)
        seen.append(describe(workspace.load(), workspace, time.time()))
        container.path("/outputs/sum").write_text("7")
        return 0

    localrun.program = look
    assert localrun.run().code == 0
    (found,) = seen
    states = {one["name"]: (one["state"], one["reason"], one["ready"]) for one in found["containers"]}
    assert states == {
        "permissions": ("Terminated", "Completed", True),
        "task": ("Running", "", True),
        "outputs": ("Waiting", "PodInitializing", False),
    }
    assert found["phase"] == "Running"
    assert found["conditions"] == {
        "PodReadyToStartContainers": True,
        "Initialized": True,
        "Ready": True,
        "ContainersReady": True,
        "PodScheduled": True,
    }


def test_a_kill_is_an_event(tmp_path: Path) -> None:
    running = threading.Event()

    def hear(event: Event) -> None:
        if event.data.get("state") == "RUNNING":
            running.set()

    def wait(container: FakeContainer) -> int:
        container.stopped.wait()
        return 143

    with make_environment(tmp_path, wait) as env:
        task = env.submit(values={"a": 1, "b": 2}, listener=hear)
        assert running.wait(60)
        env.app.manager.kill(task)
        record = env.app.manager.wait(task)
        assert record is not None
        found = describe(record, task.workspace, time.time())
    assert [reason for reason in reasons(found) if reason.startswith("Kill")] == ["Killing", "Killed"]
    assert found["containers"][1]["reason"] == "Killed"


@pytest.mark.docker
def test_a_real_task_that_ran_out_of_memory_is_described(docker_engine: DockerEngine, tmp_path: Path) -> None:
    script = "x=0123456789abcdef; while :; do x=$x$x; done"
    with (
        busybox_image(docker_engine, "sh", "-c", script) as name,
        make_environment(tmp_path, engine=docker_engine, image=name) as env,
    ):
        record = env.run(values={"a": 1, "b": 2}, memory=16 * 1024**2)
        workspace = env.app.store.open(record.id)
        text = "\n".join(format_lines(describe(record, workspace, time.time())))
    rows = after(text, "  task:")
    assert value(rows, "Reason") == "OOMKilled"
    assert value(rows, "Signal") == "SIGKILL"
    assert value(rows, "Usage").startswith("memory above its limit of 16 MiB")
    assert after(text, "    Command:")[:3] == ["      sh", "      -c", f"      {script}"]
    assert "  Warning  OOMKilled" in text


# -- records and events that are made up -------------------------------------------------------------


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = TaskStore(tmp_path / "home").create()
    made.create_dirs(b"")
    return made


def record_of(workspace: Workspace, **changes: Any) -> TaskRecord:
    given: dict[str, Any] = {
        "id": workspace.id,
        "bundle": "b.zip",
        "name": "Cells",
        "plan": RunPlan(),
        "owner": ProcessId(host="here", pid=1, started=1.0),
        "resources": Resources(memory=3 * 1024**3, cpus=0.5),
        "history": [(_S.CREATED, 100.0)],
        "folder": str(workspace.path),
    }
    return TaskRecord(**(given | changes))


def test_secrets_of_the_environment_the_command_and_the_message_are_hidden(workspace: Workspace) -> None:
    environment = {"API_TOKEN": "s3cr3t-1", "LEVEL": "5", "URL": "https://me:s3cr3t-2@host/"}
    plan = RunPlan(environment=environment, command=["go", "--password=s3cr3t-3"])
    message = "it failed: password=s3cr3t-4"
    record = record_of(workspace, plan=plan, state=_S.FAILED, cause="EXIT_NONZERO", message=message)
    found = describe(record, workspace, 200.0)
    text = "\n".join(format_lines(found))
    assert "s3cr3t" not in str(found)
    assert "s3cr3t" not in text
    assert after(text, "    Environment:")[0] == "      API_TOKEN:  ***"
    assert after(text, "    Environment:")[1] == "      LEVEL:      5"


def test_waiting_is_counted_with_its_numbers(workspace: Workspace) -> None:
    words = "0/1 nodes are available: 1 Insufficient memory (requested 3 GiB, free 1 GiB of 4 GiB)"
    for moment in (100.0, 130.0, 160.0):
        workspace.append_event(Event("note", workspace.id, words, {"waiting": True}, moment))
    record = record_of(workspace, state=_S.QUEUING, history=[(_S.CREATED, 99.0), (_S.QUEUING, 100.0)])
    found = describe(record, workspace, 180.0)
    assert found["events"] == [
        {
            "type": "Warning",
            "reason": "FailedScheduling",
            "age": 20.0,
            "from": "admission",
            "message": words,
            "time": 160.0,
            "count": 3,
            "first_age": 80.0,
        }
    ]
    row = after("\n".join(format_lines(found)), "Events:")[2]
    assert row.split(None, 2)[2].startswith("20s (x3 over 1m20s)  admission  0/1 nodes are available")
    assert found["containers"][1]["reason"] == "Unschedulable"


def test_a_task_that_another_process_killed_says_when(workspace: Workspace) -> None:
    workspace.request_kill()
    record = record_of(workspace, state=_S.KILLED, cause="KILLED", message="stopped")
    assert reasons(describe(record, workspace, time.time())) == ["Submitted", "Killing"]


def test_a_task_without_a_container_has_a_sheet_too(localrun: Command, tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        made = env.app.manager.create_task({"anything": 1}, "ray")
        env.app.manager.complete_task(made.id, {"good": True})
        record = made.workspace.load()
        found = describe(record, made.workspace, time.time())
    assert (found["phase"], found["containers"], found["volumes"]) == ("Succeeded", [], [])
    assert reasons(found) == ["Submitted", "Completed"]
    assert "Containers:       <none>" in list(format_lines(found))


def test_a_task_that_was_imported_has_the_events_of_its_states(workspace: Workspace) -> None:
    history = [(_S.CREATED, 1.0), (_S.PROVISIONED, 2.0), (_S.QUEUED, 3.0), (_S.FAILED, 4.0)]
    record = record_of(workspace, state=_S.FAILED, cause="DISK_FULL", message="no room", history=history)
    assert reasons(describe(record, workspace, 9.0)) == ["Submitted", "Scheduled", "Failed"]


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_a_sheet(workspace: Workspace, cause: Cause) -> None:
    state = _S.KILLED if cause is Cause.KILLED else _S.FAILED
    steps = [
        StepRecord(name=StepName.PERMISSIONS, started=1.0, finished=1.5, exit_code=0),
        StepRecord(name=StepName.TASK, started=2.0, finished=3.0, exit_code=1),
    ]
    record = record_of(workspace, state=state, cause=str(cause), message="why\nmore", steps=steps)
    ActiveTask(record, workspace).emit("state", "FAILED", state=str(state), message="why")
    found = describe(record, workspace, 9.0)
    assert found["containers"][1]["state"] == "Terminated"
    assert found["events"][-1]["reason"]
    assert list(format_lines(found))


def test_text_of_a_task_cannot_steer_the_terminal(localrun: Command) -> None:
    def shout(container: FakeContainer) -> int:
        container.stdout.write("\x1b[2Jwiped")
        return 1

    localrun.program = shout
    localrun.run()
    shown = localrun("describe", "last").out
    assert "wiped" in shown
    assert "\x1b" not in shown


def test_a_task_with_replicas_shows_the_container_of_each(localrun: Command) -> None:
    assert localrun.run("--replicas", "2", "--json").code == 0
    found = localrun("describe", "last", "--json").json
    names = [(one["name"], one["reason"], one["init"]) for one in found["containers"]]
    assert names == [
        ("task/1", "Completed", False),
        ("task/2", "Completed", False),
        ("outputs", "Completed", False),
    ]
    first, second = (localrun("describe", f"last/{number}", "--json").json for number in (1, 2))
    assert [one["task"] for one in found["containers"][:2]] == [first["id"], second["id"]]
    assert found["containers"][0]["container_id"] == first["containers"][1]["container_id"]
    assert found["conditions"]["Initialized"] is True
    assert "Created 2 replicas" in [event["message"] for event in found["events"]]
    text = localrun("describe", "last").out
    assert "Init Containers:  <none>\n" in text
    assert value(after(text, "  task/2:"), "Task") == second["id"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0s"), (48, "48s"), (167, "2m47s"), (120, "2m"), (3 * 3600 + 300, "3h5m"), (90000, "1d1h")],
)
def test_an_age_is_written_as_kubectl_writes_it(seconds: float, shown: str) -> None:
    assert format_age(seconds) == shown


def test_how_the_engine_came_by_the_image_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "built"
    folder.mkdir()
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    (folder / "Dockerfile").write_text("FROM x\n")
    engine = FakeEngine(add)
    engine.add_image("far/away:1", where="registry")
    with make_environment(tmp_path, engine=engine) as env:
        values = {"a": 1, "b": 2}
        first, second = (env.run(bundle=folder, image=None, values=values) for _ in range(2))
        pulled = env.run(image="far/away:1", pull="missing", values=values)
        text = "\n".join(format_lines(describe(pulled, env.app.store.open(pulled.id), time.time())))
    assert [one.image_from for one in (first, second, pulled)] == ["built", "present", "pulled"]
    assert 'Successfully pulled image "far/away:1" in' in text


def test_every_word_of_a_sheet_is_explained() -> None:
    source = Path(event_rows.__file__).read_text()
    words = {"Advice", "Noted", "Completed", "Error", "NotReached", "Waiting", "Running", "Terminated"}
    words |= set(re.findall(r'_row\(\s*"(\w+)"', source)) | set(event_rows.REASONS.values())
    words |= {
        *event_rows.REASONS.values(),
        *description._WAITING.values(),
        *description._PHASES.values(),
        "Pending",
    }
    assert len(words) > 25
    assert {word for word in words if not glossary.look_up(word)} == set()


def test_describe_and_debug_show_the_docker_command(localrun: Command) -> None:
    localrun.run()
    assert (
        "    Run By Hand:\n      mkdir -p -m 777 outputs && docker run --rm"
        in localrun("describe", "last").out
    )
    task = localrun("describe", "last", "--json").json["containers"][1]
    assert task["docker_command"] == localrun("debug", "last", "--json").json["local"]["dockerCommand"]
