"""`localrun tasks ...`: the Inductiva-compatible commands."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from localrun.api.task import MAX_SLEEP
from localrun.app import App
from localrun.cli import main
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.task.active import ActiveTask
from localrun.task.record import RunPlan, TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from tests.cli.command import Command, Result
from tests.support.environment import Environment, make_environment
from tests.support.terminal import on_terminal

# every option of `localrun tasks`: those of `inductiva tasks` that have a meaning on one machine, and --json
OPTIONS = {
    "list": ["-n, --last-n", "-a, --all", "-i, --id", "-w, --watch", "--json"],
    "info": ["-w, --watch", "--as", "--json"],
    "kill": ["--all", "-y, --yes", "--wait-timeout", "--json"],
    "download": ["--filenames", "--dir", "-i, --input", "-o, --output", "--json"],
    "tail": ["-n, -l, --lines", "-f, --follow", "--json"],
    "list-files": ["-a, --all", "-w, --watch", "--json"],
    "top": ["--no-stream", "--json"],
}
DATE = r"\d\d/\d\d, \d\d:\d\d:\d\d"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", list(OPTIONS))
def test_every_command_keeps_its_options(localrun: Command, name: str) -> None:
    page = localrun("tasks", name, "--help").out
    assert page.startswith(f"Usage: localrun tasks {name} [OPTIONS]")
    found = re.findall(r"^  (-[\w-]+(?:, -[\w-]+)*)", page, re.MULTILINE)
    assert found == [*OPTIONS[name], "-h, --help"]


def test_every_command_keeps_its_columns_and_lines(localrun: Command, here: Path) -> None:
    task_id = localrun.run("--json").json["id"]
    short = task_id[:8]

    head, row = localrun("tasks", "list").out.splitlines()
    columns = ["ID", "NAME", "STATUS", "SUBMITTED", "STARTED", "COMPUTATION TIME", "RESOURCES"]
    assert re.split("  +", head) == columns
    cells = rf"{short}  Add integers  Success  {DATE}  {DATE}  [\d.]+ ms +1 CPU, 64 MiB"
    assert re.fullmatch(cells, row)

    head, row = localrun("tasks", "top", short, "--no-stream").out.splitlines()
    columns = ["ID", "NAME", "STATE", "CPU %", "MEMORY", "LIMIT", "MEM %", "PEAK"]
    assert re.split("  +", head) == [*columns, "READ", "WRITTEN", "PIDS", "TIME"]
    assert re.match(rf"{short}  Add integers  FINISHED  ", row)

    head, row = localrun("tasks", "list-files", short).out.splitlines()
    assert re.split("  +", head) == ["SIZE", "WRITTEN", "FILE"]
    assert re.fullmatch(r" *1 B  [\d-]{10} [\d:]{8}  sum", row)

    assert localrun("tasks", "info", short).out.splitlines()[0].endswith(": Success")
    assert localrun("tasks", "tail", short).out == "3 + 4\n"
    outputs, inputs = (here / "localrun_output" / task_id / name for name in ("outputs", "inputs"))
    copied = localrun("tasks", "download", short, "-i", "-o").out
    assert copied == f"{short} outputs: {outputs}\n{short} inputs: {inputs}\n"


def test_the_commands_outside_stay_as_they_are(localrun: Command) -> None:
    localrun.run()
    localrun("tasks", "info", "last")
    localrun("tasks", "tail", "last", "-l", "1")
    assert localrun("info", "last").out.splitlines()[0].endswith(": FINISHED")
    assert localrun("tail", "last", "-l", "1").code == 2


def test_alone_it_lists_its_commands(localrun: Command) -> None:
    result = localrun("tasks")
    assert result.code == 2
    assert all(name in result.out for name in OPTIONS)
    assert localrun("tasks", "--help").code == 0
    assert localrun("tasks", "lsit").code == 2


# -- list -------------------------------------------------------------------------------------------


def test_the_list_speaks_inductivas_words(localrun: Command) -> None:
    localrun.run()
    localrun.program = lambda container: 1
    localrun.run()
    head, failed, done = localrun("tasks", "list").out.splitlines()
    assert head.split("  ")[0] == "ID"
    assert "COMPUTATION TIME" in head
    assert "  Failed  " in failed
    assert "  Success " in done
    statuses = [one["as"]["status"] for one in localrun("tasks", "list", "--json").json]
    assert statuses == ["Failed", "Success"]


def test_the_list_takes_a_number_and_several_ids_at_once(localrun: Command) -> None:
    ids = [localrun.run("--json").json["id"] for _ in range(3)]
    assert len(localrun("tasks", "list", "-n", "2").out.splitlines()) == 3
    assert len(localrun("tasks", "list", "--all").out.splitlines()) == 4
    shown = localrun("tasks", "list", "--id", ids[0], ids[2], "--json").json
    assert [one["id"] for one in shown] == [ids[0], ids[2]]
    assert localrun("tasks", "list", "-i", ids[1], "-a").code == 2
    assert localrun("tasks", "list", "-i", "nothing").code == 2


def test_a_task_that_computes_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bench(tmp_path, capsys) as (call, submit):
        submit()
        (row,) = call("tasks", "list").out.splitlines()[1:]
    assert "In Progress" in row
    assert "  * " in row


def test_an_empty_folder_has_no_list(localrun: Command) -> None:
    result = localrun("tasks", "list")
    assert (result.code, result.out) == (0, "")
    assert "no tasks in this folder" in result.err


# -- kill -------------------------------------------------------------------------------------------

Call = Callable[..., Result]
Submit = Callable[..., ActiveTask]


class Shared(FakeEngine):
    """An engine shared by two apps, which both try to close it."""

    def close(self) -> None:
        """Ignore the call."""


class bench:  # noqa: N801 - a context manager
    """The command, and an app whose tasks run until they are stopped."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        engine = Shared(self._wait)
        self.env = make_environment(folder, engine=engine)
        self.capsys = capsys

    @staticmethod
    def _wait(container: FakeContainer) -> int:
        container.stopped.wait()
        return 143

    def __enter__(self) -> tuple[Call, Submit]:
        env = self.env.__enter__()
        return lambda *arguments: self._call(env, *arguments), partial(self._submit, env)

    def __exit__(self, *error: Any) -> None:
        self.env.__exit__(*error)

    def _call(self, env: Environment, *arguments: object) -> Result:
        self.capsys.readouterr()
        home = str(env.app.settings.home)
        code = main(["--home", home, *map(str, arguments)], lambda settings: App(settings, env.engine))
        printed = self.capsys.readouterr()
        return Result(code, printed.out, printed.err)

    def _submit(self, env: Environment, **options: Any) -> ActiveTask:
        running = threading.Event()

        def hear(event: Any) -> None:
            if event.data.get("state") == "RUNNING":
                running.set()

        task = env.submit(values={"a": 1, "b": 2}, listener=hear, **options)
        assert running.wait(60)
        return task


def test_several_tasks_are_stopped_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bench(tmp_path, capsys) as (call, submit):
        first, second, third = submit(), submit(), submit()
        result = call("tasks", "kill", first.id, second.id[:8], "-y")
        assert result.code == 0
        assert result.out.splitlines() == [f"{first.id[:8]} KILLED", f"{second.id[:8]} KILLED"]
        assert third.record.state is TaskState.RUNNING
        assert [one["id"] for one in call("tasks", "kill", "--all", "--yes", "--json").json] == [third.id]


def test_replicas_are_stopped_with_their_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bench(tmp_path, capsys) as (call, submit):
        task = submit(replicas=2, agree=2)
        result = call("tasks", "kill", "--all", "-y")
        assert (result.code, result.err) == (0, "")
        assert result.out == f"{task.id[:8]} KILLED\n"


def test_all_are_not_stopped_without_a_yes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bench(tmp_path, capsys) as (call, submit):
        task = submit()
        result = call("tasks", "kill", "--all")
        assert result.code == 2
        assert "pass --yes" in result.err
        assert task.record.state is TaskState.RUNNING


@pytest.mark.parametrize(
    ("answer", "code", "state"),
    [(b"n\n", 2, "CREATED"), pytest.param(b"y\n", 0, "KILLED", marks=pytest.mark.docker)],
)
def test_on_a_terminal_it_asks(tmp_path: Path, answer: bytes, code: int, state: str) -> None:
    home = TaskStore(tmp_path / "home")
    workspace = home.create()
    task = ActiveTask(TaskRecord(id=workspace.id, bundle="b"), workspace)
    task.create()
    home.publish(workspace)
    with on_terminal("--home", "home", "tasks", "kill", "--all", cwd=tmp_path) as process:
        process.until(f"Stop {workspace.id[:8]}?")
        process.type(answer)
        assert process.wait() == code
    assert workspace.load().state == state


def test_waiting_for_an_end_may_be_limited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = TaskStore(tmp_path / ".localrun")
    with bench(tmp_path, capsys) as (call, _):
        workspace = home.create()
        claim = home.acquire(workspace.id, new=True)  # owned by a process that does not react
        assert claim is not None
        ActiveTask(TaskRecord(id=workspace.id, bundle="b", plan=RunPlan()), workspace).create()
        begun = time.monotonic()
        result = call("tasks", "kill", workspace.id, "--wait-timeout", "0.2")
        assert time.monotonic() - begun < 20
        assert result.code == 0
        assert "is still being stopped" in result.err
        assert workspace.kill_requested
        ActiveTask(workspace.load(), workspace).transition(TaskState.KILLED, cause="KILLED")
        claim.release(ended=True)


def test_ctrl_c_is_handled_while_stopping(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that arrives just before a thread sleeps is only handled when the thread wakes up."""
    localrun.run()
    join = threading.Thread.join
    timeouts: list[float | None] = []

    def record(thread: threading.Thread, timeout: float | None = None) -> None:
        timeouts.append(timeout)
        join(thread, timeout)

    def kill(*_: object) -> TaskRecord:
        time.sleep(0.1)
        return TaskRecord(id="1", bundle="b", state=TaskState.KILLED)

    with monkeypatch.context() as patch:
        patch.setattr(App, "kill", kill)
        patch.setattr(threading.Thread, "join", record)
        assert localrun("tasks", "kill", "last").out.endswith(" KILLED\n")
    assert timeouts
    assert all(timeout is not None and timeout <= MAX_SLEEP for timeout in timeouts)


def test_what_cannot_be_stopped_is_told_and_the_others_are_stopped(localrun: Command) -> None:
    localrun.run()
    result = localrun("tasks", "kill", "last")
    assert result.code == 2
    assert "has ended already" in result.err
    assert localrun("tasks", "kill", "nothing").code == 2
    assert localrun("tasks", "kill").code == 2
    assert "no active tasks in this folder" in localrun("tasks", "kill", "--all").err


# -- download ---------------------------------------------------------------------------------------


def test_outputs_come_in_a_folder_for_each_task(localrun: Command, here: Path) -> None:
    ids = [localrun.run("--json").json["id"] for _ in range(2)]
    result = localrun("tasks", "download", *ids)
    assert result.code == 0
    for task_id in ids:
        assert (here / "localrun_output" / task_id / "outputs" / "sum").read_text() == "7"
    found = localrun("tasks", "download", ids[0], "--dir", "there", "--json").json
    assert found == [{"id": ids[0], "outputs": str(here / "there" / ids[0] / "outputs")}]


def test_inputs_can_be_had_too_also_those_that_lie_elsewhere(
    localrun: Command, here: Path, tmp_path: Path
) -> None:
    task_id = localrun.run("--json").json["id"]
    workspace = TaskStore(localrun.folder / "home").open(task_id)
    own = tmp_path / "own"
    own.write_text("mine")
    record = workspace.load()
    assert record.plan is not None
    (workspace.inputs / "far").touch()
    workspace.save(record.replace(plan=record.plan.replace(mounts=[(str(own), "far")])))
    assert localrun("tasks", "download", task_id, "-i").code == 0
    folder = here / "localrun_output" / task_id
    assert sorted(path.name for path in folder.iterdir()) == ["inputs"]
    assert (folder / "inputs" / "a").read_text() == "3"
    assert (folder / "inputs" / "far").read_text() == "mine"
    assert localrun("tasks", "download", task_id, "-i", "-o").code == 0
    assert (folder / "outputs" / "sum").exists()
    own.unlink()
    gone = localrun("tasks", "download", task_id, "-i")
    assert gone.code == 2
    assert "does not exist" in gone.err


def test_names_that_are_not_there_are_refused_and_other_tasks_are_copied(
    localrun: Command, here: Path
) -> None:
    task_id = localrun.run("--json").json["id"]
    result = localrun("tasks", "download", task_id, "--filenames", "sum", "smu", "more")
    assert result.code == 2
    assert "smu: not found" in result.err
    assert "more: not found" in result.err
    mixed = localrun("tasks", "download", "nothing", task_id)
    assert mixed.code == 2
    assert (here / "localrun_output" / task_id / "outputs" / "sum").exists()
    assert localrun("tasks", "download", task_id, "--dir", "").code == 2
    assert localrun("tasks", "download").code == 2


def test_a_task_that_runs_has_no_outputs_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bench(tmp_path, capsys) as (call, submit):
        result = call("tasks", "download", submit().id)
    assert result.code == 2
    assert "has not ended" in result.err


# -- what is reused ---------------------------------------------------------------------------------


def test_info_tail_and_files_are_the_commands_outside(localrun: Command) -> None:
    localrun.run()
    assert localrun("tasks", "info", "last").out == localrun("info", "last", "--as", "inductiva").out
    assert localrun("tasks", "tail", "last", "-l", "1").out == localrun("tail", "last", "-n", "1").out
    assert localrun("tasks", "list-files", "last").out == localrun("list-files", "last").out
    assert localrun("tasks", "top", "last", "--json").json[0]["state"] == "FINISHED"
