from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from localrun.app import App
from localrun.cli.logs import read_chunks
from localrun.engines.fake import FakeContainer
from localrun.manager.request import Request
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.events import Event
from localrun.task.process import current_process
from localrun.task.record import ProcessId, TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from tests.cli.command import Command
from tests.support.environment import IMAGE


@contextmanager
def running(localrun: Command) -> Iterator[tuple[App, ActiveTask]]:
    """Run a task in a separate app until it is stopped."""
    begun = threading.Event()

    def listen(event: Event) -> None:
        if event.data.get("state") == "RUNNING":
            begun.set()

    def program(container: FakeContainer) -> int:
        container.stdout.write("begun\n")
        container.stopped.wait(60)
        return 143

    localrun.program = program
    folder = localrun.folder
    app = localrun.app(
        Settings(home=folder / "home", cache=folder / "cache", ledger=folder / "ledger" / "l.json")
    )
    task = app.manager.submit(
        Request(bundle=localrun.bundle, image=IMAGE, pull="never", values={"a": 1, "b": 2}), listen
    )
    try:
        assert begun.wait(60)
        yield app, task
    finally:
        app.close()


def newest(localrun: Command) -> dict[str, Any]:
    found: dict[str, Any] = localrun("list", "--json").json[0]
    return found


def test_tasks_are_listed_the_newest_first(localrun: Command) -> None:
    localrun.run()
    localrun.program = lambda _: 1
    localrun.run()
    lines = localrun("list").out.splitlines()
    assert lines[0].split() == ["ID", "STATE", "CAUSE", "NAME", "AGE", "DURATION"]
    assert [line.split()[1:3] for line in lines[1:]] == [["FAILED", "EXIT_NONZERO"], ["FINISHED", "-"]]


def test_a_list_can_be_cut_and_sifted(localrun: Command) -> None:
    for _ in range(3):
        localrun.run()
    assert len(localrun("list", "-n", "2", "--json").json) == 2
    assert len(localrun("list", "-n", "2", "--all", "--json").json) == 3
    assert localrun("list", "--state", "failed", "--json").json == []


def test_an_empty_list_is_empty(localrun: Command) -> None:
    assert (localrun("list").out, localrun("list").code) == ("", 0)


@pytest.mark.parametrize("which", ["id", "prefix", "last"])
def test_a_task_is_found_by_id_by_its_beginning_and_as_the_last(localrun: Command, which: str) -> None:
    localrun.run()
    task_id = newest(localrun)["id"]
    name = {"id": task_id, "prefix": task_id[:6], "last": "last"}[which]
    assert localrun("status", name, "--json").json["id"] == task_id


@pytest.mark.parametrize("command", ["status", "logs", "outputs", "kill"])
def test_a_task_that_is_not_there_is_a_wrong_call(localrun: Command, command: str) -> None:
    result = localrun(command, "nope")
    assert (result.code, "no task 'nope'" in result.err) == (2, True)


def test_status_tells_where_why_and_how_long(localrun: Command) -> None:
    localrun.program = lambda _: 9
    localrun.run("--network")
    text = localrun("status", "last").out
    for words in ("FAILED", "EXIT_NONZERO", "exit code 9", "1 CPU, 64 MiB, network", "took ", "RUNNING"):
        assert words in text
    fields = localrun("status", "last", "--json").json
    assert (fields["resources"]["cpus"], fields["network"], fields["owner_gone"]) == (1.0, True, False)


def test_status_says_what_a_task_waits_for(localrun: Command) -> None:
    words = "0/1 nodes are available: 1 Insufficient cpu (requested 2, free 0 of 2)"
    workspace = TaskStore(localrun.folder / "home").create()
    task = ActiveTask(TaskRecord(id=workspace.id, bundle="b", message=words), workspace)
    task.create()
    assert f"waiting     {words}" in localrun("status", "last").out


def test_status_says_which_inputs_a_task_waits_for_and_which_it_has(localrun: Command) -> None:
    folder = localrun.folder
    app = localrun.app(
        Settings(home=folder / "home", cache=folder / "cache", ledger=folder / "ledger" / "l.json")
    )
    task = {"bundle": str(localrun.bundle), "image": IMAGE, "inputs": {"a": 3}}
    task_id = app.manager.create_task(task).id
    text = localrun("status", task_id).out
    assert "waiting     for inputs: b\n" in text
    assert "received    a = 3\n" in text
    fields = localrun("status", task_id, "--json").json
    assert (fields["missing"], fields["received"]) == (["b"], {"a": 3})
    app.manager.kill_task(task_id)
    assert "for inputs" not in localrun("status", task_id).out
    app.close()


def test_status_says_when_the_process_of_a_task_is_gone(localrun: Command) -> None:
    with running(localrun) as (_, task):
        mine = current_process()
        task.update(owner=ProcessId(host=mine.host, pid=2**30, started=1.0, boot=mine.boot))
        task.save()
        assert localrun("status", "last", "--json").json["owner_gone"] is True
        assert "its process has died" in localrun("status", "last").out


def test_logs_are_the_very_bytes_that_the_task_wrote(localrun: Command) -> None:
    def program(container: FakeContainer) -> int:
        container.stdout.write("one\x1b[2J\n")
        return 1

    localrun.program = program
    localrun.run()
    assert localrun("logs", "last").out == "one\x1b[2J\n"
    assert localrun("logs", "last", "--json").json["log"] == "one\x1b[2J\n"


def test_logs_of_the_other_steps_tell_what_was_done(localrun: Command) -> None:
    localrun.run()
    assert localrun("logs", "last", "--step", "outputs").out.startswith("outputs: mounted")
    assert localrun("logs", "last", "--step", "permissions", "--json").json["exit_code"] == 0


def test_a_task_that_wrote_nothing_says_so(localrun: Command) -> None:
    localrun.program = lambda _: 0
    localrun.run()
    result = localrun("logs", "last")
    assert (result.out, "has written no output" in result.err) == ("", True)


def test_logs_are_followed_to_the_end_of_the_task(localrun: Command) -> None:
    with running(localrun) as (app, task), ThreadPoolExecutor(1) as pool:
        found = read_chunks(task.workspace.log, pool.submit(app.store.wait_released, task.id))
        assert next(found) == b"begun\n"
        app.manager.kill(task, 0)
        assert b"".join(found) == b""
    assert localrun("logs", "last", "-f").out == "begun\n"


def test_what_is_added_to_a_log_is_not_missed(tmp_path: Path) -> None:
    end: Future[None] = Future()
    found = read_chunks(tmp_path / "log", end)
    (tmp_path / "log").write_bytes(b"one")
    assert next(found) == b"one"
    with (tmp_path / "log").open("ab") as stream:
        stream.write(b"two")
    end.set_result(None)
    assert list(found) == [b"two"]
    assert list(read_chunks(tmp_path / "none", end)) == []


def test_outputs_are_shown_and_copied_long_after_the_run(localrun: Command) -> None:
    localrun.run()
    assert localrun("outputs", "last").out == "sum: 7\n"
    assert localrun("outputs", "last", "-o", localrun.folder / "copy", "--json").json["outputs"] == {"sum": 7}
    assert (localrun.folder / "copy/sum").read_text() == "7"


def test_a_task_that_runs_has_no_outputs_yet(localrun: Command) -> None:
    with running(localrun):
        result = localrun("outputs", "last")
    assert (result.code, "has not ended (RUNNING)" in result.err) == (2, True)


def test_a_task_of_another_process_is_killed(localrun: Command) -> None:
    with running(localrun) as (app, task):
        localrun.app = lambda settings: App(settings, app.engine)  # type: ignore[method-assign]
        result = localrun("kill", "last", "--json")
        assert (result.code, result.json["state"]) == (0, "KILLED")
        assert app.manager.wait(task)
    assert task.record.state is TaskState.KILLED


def test_an_ended_task_cannot_be_killed(localrun: Command) -> None:
    localrun.run()
    result = localrun("kill", "last")
    assert (result.code, "has ended already (FINISHED)" in result.err) == (2, True)


def test_tasks_are_deleted_and_what_cannot_be_is_told(localrun: Command) -> None:
    localrun.run()
    task_id = newest(localrun)["id"]
    result = localrun("rm", "nope", task_id)
    assert (result.code, result.out) == (2, f"{task_id}\n")
    assert "no task 'nope'" in result.err
    assert localrun("list", "--json").json == []


def test_all_ended_tasks_are_deleted_at_once(localrun: Command) -> None:
    for _ in range(2):
        localrun.run()
    with running(localrun) as (_, task):
        assert len(json.loads(localrun("rm", "--all", "--json").out)["removed"]) == 2
        assert newest(localrun)["id"] == task.id
        assert localrun("rm", "last").code == 2


@pytest.mark.parametrize("arguments", [[], ["--all", "x"]])
def test_rm_wants_ids_or_all_of_them(localrun: Command, arguments: list[str]) -> None:
    assert localrun("rm", *arguments).code == 2


def test_the_home_is_chosen_by_the_environment_too(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    localrun.run()
    monkeypatch.setenv("LOCALRUN_HOME", str(localrun.folder / "other"))
    assert len(localrun("list", "--json").json) == 1  # --home takes precedence
    monkeypatch.setenv("LOCALRUN_GRACE", "much")
    result = localrun("list")
    assert (result.code, "LOCALRUN_GRACE" in result.err) == (2, True)


@pytest.mark.parametrize("command", ["list", "status last", "rm --all"])
def test_what_the_system_refuses_is_told_without_a_traceback(localrun: Command, command: str) -> None:
    (localrun.folder / "home").write_text("no folder")
    result = localrun(*command.split())
    assert result.code == 5
    assert "Not a directory" in result.err
    assert "hint: " in result.err
    assert "Traceback" not in result.err
