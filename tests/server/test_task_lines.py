"""The lines of the server about tasks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from localrun.engines.fake import FakeContainer
from localrun.server.task_lines import TaskLines, task_lines
from localrun.task.events import Event
from tests.support.server_client import ServerEnvironment, serve_environment


def add(container: FakeContainer) -> int:
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0 if a else 3


def lines_of(env: ServerEnvironment, capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("task ")]


def test_each_task_has_one_line_at_its_start_and_one_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_environment(tmp_path, add) as env:
        with task_lines(env.env.app.manager):
            good = env.run(a=1, b=2)
            env.wait(good)
            bad = env.run(a=0, b=2)
            env.wait(bad)
            manual = env.post({"name": "by hand"})["task_id"]
            env.client.post(f"/task/{manual}/complete", json={"result": {}})
        shown = lines_of(env, capsys)
    assert len(shown) == 6
    assert shown[0] == f"task {good[:8]} started: Add integers (assigned by ray)"
    assert shown[1].startswith(f"task {good[:8]} FINISHED after ")
    assert shown[3].startswith(f"task {bad[:8]} FAILED (EXIT_NONZERO) after ")
    assert "exit code 3" in shown[3]
    assert shown[4] == f"task {manual[:8]} created (assigned by ray)"
    assert shown[5] == f"task {manual[:8]} FINISHED"


def test_a_pipe_that_is_not_read_stops_neither_the_tasks_nor_the_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    try:
        with serve_environment(tmp_path, add) as env, os.fdopen(writer, "w") as pipe:
            monkeypatch.setattr(sys, "stdout", pipe)
            lines = TaskLines(env.env.app.manager)
            for number in range(5000):
                data = {"state": "CREATED", "assigned_by": "x" * 100}
                lines.on_event(Event("state", f"{number:08}", data=data))
            assert lines._omitted
            lines.close()
            assert not lines._thread.is_alive()
            monkeypatch.undo()
    finally:
        os.close(reader)


def test_the_name_of_a_client_cannot_control_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_environment(tmp_path, add) as env:
        with task_lines(env.env.app.manager):
            env.post({"name": "x"}, assigned_by="\x1b[2Jray")
        shown = lines_of(env, capsys)
    assert len(shown) == 1
    assert "\x1b" not in shown[0]


def test_lines_that_arrive_together_are_written_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    write = Mock(wraps=os.write)
    with serve_environment(tmp_path, add) as env, os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        lines = TaskLines(env.env.app.manager)
        monkeypatch.setattr(os, "write", write)
        lines._lines.extend(f"line {number}\n" for number in range(100))  # as if before the thread looks
        lines._has_lines.set()
        lines.close()
        monkeypatch.undo()
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "".join(f"line {number}\n" for number in range(100))
    assert [call.args[0] for call in write.call_args_list].count(writer) == 1
