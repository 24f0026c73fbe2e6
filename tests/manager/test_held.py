"""Held tasks: they get their inputs in any order, and start on request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.fake import FakeContainer
from localrun.errors import UsageError
from localrun.manager.submission import PreparedTask
from localrun.task.states import TaskState
from tests.support.environment import Environment, make_environment


def add(container: FakeContainer) -> int:
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    with make_environment(tmp_path, add) as env:
        yield env


def held(env: Environment) -> str:
    return env.submit(held=True, detached=True).id


def start(env: Environment, task_id: str, a: int = 3, b: int = 4) -> str:
    """Write the inputs of a held task, and start it."""

    def describe(prepared: PreparedTask) -> dict[str, Any]:
        for name, value in (("a", a), ("b", b)):
            (prepared.task.workspace.inputs / name).write_text(str(value))
        return {"inputs": {"a": a, "b": b}}

    return env.app.manager.held.start(task_id, describe).id


def refuse(_: PreparedTask) -> dict[str, Any]:
    raise ValueError("refused")


def test_a_held_task_is_provisioned_once_nothing_is_missing_and_stays_so(env: Environment) -> None:
    task_id, tasks = held(env), env.app.manager.held
    assert tasks.get(task_id).task.record.state is TaskState.CREATED
    assert tasks.note(task_id, ["b"], {"a": 3}).state is TaskState.CREATED
    assert tasks.note(task_id, [], {"a": 3, "b": 4}).state is TaskState.PROVISIONED
    record = tasks.note(task_id, ["b"], {"a": 5})
    assert (record.state, record.missing, record.received) == (TaskState.PROVISIONED, ["b"], {"a": 5})


@pytest.mark.parametrize("is_provisioned", [True, False])
def test_a_held_task_starts_on_request_with_the_inputs_of_the_request(
    env: Environment, is_provisioned: bool
) -> None:
    task_id, tasks = held(env), env.app.manager.held
    if is_provisioned:
        tasks.note(task_id, [], {"a": 1, "b": 1})
    start(env, task_id)
    record = env.app.manager.wait_for(task_id, 30)
    assert record is not None
    assert (record.state, record.outputs, record.missing) == (TaskState.FINISHED, {"sum": 7}, [])
    assert (record.inputs, record.received) == ({"a": 3, "b": 4}, {})
    assert not record.run_plan.held


def test_a_held_task_that_was_started_is_not_held(env: Environment) -> None:
    task_id, tasks = held(env), env.app.manager.held
    start(env, task_id)
    for call in (tasks.get, lambda one: tasks.start(one, refuse), lambda one: tasks.note(one, [], {})):
        with pytest.raises(UsageError, match="was started already"):
            call(task_id)


def test_a_held_task_whose_start_is_refused_can_be_started_again(env: Environment) -> None:
    task_id, tasks = held(env), env.app.manager.held
    with pytest.raises(ValueError, match="refused"):
        tasks.start(task_id, refuse)
    assert start(env, task_id) == task_id
    record = env.app.manager.wait_for(task_id, 30)
    assert record is not None
    assert record.outputs == {"sum": 7}


def test_inputs_of_a_held_task_are_not_those_of_a_task_that_waits(env: Environment) -> None:
    with pytest.raises(UsageError, match="is not waiting for inputs"):
        env.app.manager.put_input(held(env), "a", [b"3"])


def test_a_held_task_can_be_killed(env: Environment) -> None:
    task_id = held(env)
    env.app.manager.kill_task(task_id)
    record = env.app.manager.wait_for(task_id, 30)
    assert record is not None
    assert record.state is TaskState.KILLED


@pytest.mark.parametrize("is_provisioned", [True, False])
def test_a_held_task_survives_its_process(tmp_path: Path, is_provisioned: bool) -> None:
    with make_environment(tmp_path, add) as env:
        task_id = held(env)
        if is_provisioned:
            env.app.manager.held.note(task_id, [], {"a": 3, "b": 4})
        before = env.app.manager.find_task(task_id)
        env.app.manager.shutdown()
    with make_environment(tmp_path, add) as env:
        env.app.recover()
        found = env.app.manager.held.get(task_id).task.record
        assert before is not None
        assert (found.state, found.received) == (before.state, before.received)
        start(env, task_id)
        record = env.app.manager.wait_for(task_id, 30)
        assert record is not None
        assert record.outputs == {"sum": 7}


def test_a_held_task_without_a_process_can_be_killed_and_is_not_waited_for(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        task_id = held(env)
        env.app.manager.shutdown()
    with make_environment(tmp_path, add) as env:
        assert env.app.wait(task_id).state is TaskState.CREATED
        assert env.app.kill(task_id).state is TaskState.KILLED
        assert env.app.store.active_ids() == []


def test_a_held_task_of_another_process_can_be_killed(env: Environment, tmp_path: Path) -> None:
    task_id = held(env)
    with make_environment(tmp_path, add) as other:
        assert other.app.kill(task_id).state is TaskState.KILLED
