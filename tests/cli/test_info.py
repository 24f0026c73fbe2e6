"""`localrun info`, with and without --watch."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import localrun as package
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from tests.cli.command import Command
from tests.support.terminal import on_terminal


def test_it_is_the_summary_that_python_gives(localrun: Command) -> None:
    localrun.run()
    shown = localrun("info", "last")
    assert shown.code == 0
    assert shown.out == package.Task("last", localrun.folder / "home").summary
    assert "    - run " in shown.out
    assert "peak memory not sampled, limit 64 MiB" in shown.out


def test_its_record_has_the_timeline_the_data_and_the_usage(localrun: Command) -> None:
    localrun.run()
    found = localrun("info", "last", "--json").json
    assert found["usage"] is None
    assert found["data"]["inputs"] == {"files": 2, "size": 2}
    assert [stay["state"] for stay in found["timeline"]][-1] == "FINISHED"
    assert found["id"] == localrun("status", "last", "--json").json["id"]


def test_it_speaks_the_words_of_another_system(localrun: Command) -> None:
    localrun.run()
    shown = localrun("info", "last", "--as", "inductiva").out
    assert shown.splitlines()[0].endswith(": Success")
    assert "  Preparing to Compute  at " in shown
    assert localrun("info", "last", "--as", "inductiva", "--json").json["as"]["status"] == "Success"


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_where_there_is_no_terminal_nothing_can_be_watched(localrun: Command, more: tuple[str, ...]) -> None:
    localrun.run()
    result = localrun("info", "last", "--watch", *more)
    assert result.code == 2
    assert "--watch needs a terminal" in result.err


def test_a_period_that_is_none_says_where_the_id_belongs(localrun: Command) -> None:
    result = localrun("info", "--watch", "last")
    assert result.code == 2
    assert "pass the ID before --watch" in result.err


def test_a_task_is_watched_until_its_end(tmp_path: Path) -> None:
    workspace = TaskStore(tmp_path / "home").create()
    task = ActiveTask(TaskRecord(id=workspace.id, bundle="b", name="\x1b[2Jslow"), workspace)
    task.create()
    with on_terminal("--home", "home", "info", workspace.id, "-w", "0.1", cwd=tmp_path) as command:
        command.until("(ongoing)")
        task.transition(TaskState.FINISHED)
        assert command.wait() == 0
    last = command.shown.rpartition("\x1b[?1049l")[2]  # after leaving the alternate screen
    assert f"Task {workspace.id}: FINISHED" in last
    assert "(ongoing)" not in last
    assert "\x1b[2Jslow" not in command.shown


def test_a_list_is_watched_until_ctrl_c_and_new_tasks_come_into_it(tmp_path: Path) -> None:
    home = TaskStore(tmp_path / "home")
    with on_terminal("--home", "home", "list", "--watch", "0.1", cwd=tmp_path) as command:
        command.until("no tasks in this folder")
        workspace = home.create()
        ActiveTask(TaskRecord(id=workspace.id, bundle="b"), workspace).create()
        command.until(workspace.id[:8])
        command.process.send_signal(signal.SIGINT)
        assert command.wait() == 130
    assert "Traceback" not in command.shown


def test_files_are_watched_while_they_come(tmp_path: Path) -> None:
    workspace = TaskStore(tmp_path / "home").create()
    workspace.create_dirs()
    task = ActiveTask(TaskRecord(id=workspace.id, bundle="b"), workspace)
    task.create()
    with on_terminal("--home", "home", "list-files", "last", "-w", "0.1", cwd=tmp_path) as command:
        command.until("FILE")
        (workspace.outputs / "mask").write_text("x")
        command.until("mask")
        task.transition(TaskState.FINISHED)
        assert command.wait() == 0
    assert "mask" in command.shown.rpartition("\x1b[?1049l")[2]
