from __future__ import annotations

import time
from typing import Any

import pytest

from localrun.server.shutdown import shutdown_notice
from localrun.settings.options import OnExit
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState


def running(number: int = 0, **more: Any) -> TaskRecord:
    given = {"name": "add", "state": TaskState.RUNNING, "created": time.time() - 5, **more}
    created = given.pop("created")
    return TaskRecord(
        id=f"{number:08x}-0000", bundle="add.zip", history=[(TaskState.CREATED, created)], **given
    )


def test_without_unfinished_tasks_nothing_is_printed() -> None:
    assert shutdown_notice([], "kill", 10.0) == []


@pytest.mark.parametrize(
    ("on_exit", "words", "hinted"),
    [
        ("kill", "killing 1 unfinished task, each within 10", True),
        ("wait", "waiting for 1 unfinished task", True),
        ("leave", "1 unfinished task will continue", False),
    ],
)
def test_what_happens_to_the_tasks_is_printed_with_the_option(
    on_exit: OnExit, words: str, hinted: bool
) -> None:
    lines = shutdown_notice([running()], on_exit, 10.0)
    assert words in lines[0]
    assert ("press Ctrl+C again" in lines[0]) == hinted
    assert lines[1].startswith("  00000000  add  RUNNING  for 5")
    assert any("--on-exit leave" in line for line in lines) == hinted


def test_many_tasks_are_counted_and_names_are_escaped() -> None:
    lines = shutdown_notice([running(number, name="a\x1b[31m") for number in range(30)], "kill", 0.0)
    assert len(lines) == 23
    assert lines[-2] == "  and 10 more"
    assert "\x1b" not in "".join(lines)
