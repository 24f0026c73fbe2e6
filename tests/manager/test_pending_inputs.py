from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localrun.app import App
from localrun.engines.fake import FakeContainer
from localrun.errors import InputsError, Problem, TaskNotFound, UsageError
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
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


def waiting(env: Environment, **inputs: int) -> str:
    return env.app.manager.create_task({"bundle": str(env.bundle), "image": env.image, "inputs": inputs}).id


def test_a_task_with_inputs_missing_waits_and_starts_when_the_last_is_there(env: Environment) -> None:
    task_id = waiting(env)
    assert env.app.manager.put_input(task_id, "a", [b"3"]).state is TaskState.CREATED
    env.app.manager.put_input(task_id, "b", [b"", b"4"])
    record = env.app.manager.wait_for(task_id, 60)
    assert record is not None
    assert (record.state, record.outputs) == (TaskState.FINISHED, {"sum": 7})


def test_an_input_that_was_sent_before_can_be_sent_again(env: Environment) -> None:
    task_id = waiting(env)
    for value in (b"1", b"3"):
        env.app.manager.put_input(task_id, "a", [value])
    env.app.manager.put_input(task_id, "b", [b"4"])
    record = env.app.manager.wait_for(task_id, 60)
    assert record is not None
    assert record.outputs == {"sum": 7}


def test_an_input_that_does_not_fit_is_refused_and_can_be_sent_anew(env: Environment) -> None:
    task_id = waiting(env, a=3)
    with pytest.raises(InputsError) as caught:
        env.app.manager.put_input(task_id, "b", [b"four"])
    assert caught.value.problems[0].path == "inputs.b"
    env.app.manager.put_input(task_id, "b", [b"4"])
    record = env.app.manager.wait_for(task_id, 60)
    assert record is not None
    assert record.outputs == {"sum": 7}


def test_an_input_that_the_task_does_not_have_is_refused_with_those_it_has(env: Environment) -> None:
    task_id = waiting(env)
    with pytest.raises(InputsError) as caught:
        env.app.manager.put_input(task_id, "../../evil", [b"1"])
    assert "expected one of: a, b" in str(caught.value)
    assert list(env.app.store.open(task_id).uploaded_files()) == []


def test_a_task_that_waits_for_no_inputs_takes_none(env: Environment) -> None:
    record = env.run(values={"a": 3, "b": 4})
    with pytest.raises(UsageError, match="is not waiting for inputs: it is FINISHED"):
        env.app.manager.put_input(record.id, "a", [b"1"])
    with pytest.raises(TaskNotFound):
        env.app.manager.put_input("nobody", "a", [b"1"])


def test_a_sender_that_breaks_off_leaves_nothing(env: Environment) -> None:
    task_id = waiting(env)

    def broken() -> Iterator[bytes]:
        yield b"1"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        env.app.manager.put_input(task_id, "a", broken())
    assert list(env.app.store.open(task_id).uploads.iterdir()) == []


def test_a_kill_ends_a_waiting_task_before_it_returns(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id, cancel = waiting(env), ActiveTask.cancel
    found = []

    def look_at_once(task: ActiveTask) -> None:
        cancel(task)
        found.append(env.app.manager._pending.pop(task.id))  # as the thread that looks for kills

    monkeypatch.setattr(ActiveTask, "cancel", look_at_once)
    env.app.manager.kill_task(task_id)
    assert found == [None]
    assert env.app.store.active_ids() == []


def test_a_task_that_waits_can_be_killed(env: Environment) -> None:
    task_id = waiting(env)
    record = env.app.manager.kill_task(task_id)
    assert record is not None
    assert record.state is TaskState.KILLED
    assert env.app.store.active_ids() == []
    with pytest.raises(UsageError):
        env.app.manager.put_input(task_id, "a", [b"1"])


def test_a_task_that_waits_for_inputs_is_stopped_from_another_process(env: Environment) -> None:
    task_id = waiting(env, a=3)
    other = App(env.app.settings, env.engine)
    assert other.kill(task_id).state is TaskState.KILLED
    assert env.app.manager.get_task(task_id) is None
    with pytest.raises(UsageError, match="is not waiting for inputs: it is KILLED"):
        env.app.manager.put_input(task_id, "b", [b"4"])


def test_nobody_looks_after_tasks_that_wait_once_none_does(env: Environment) -> None:
    task_id = waiting(env, a=3)
    assert "waiting" in [thread.name for thread in threading.enumerate()]
    env.app.manager.put_input(task_id, "b", [b"4"])
    for thread in threading.enumerate():
        if thread.name == "waiting":
            thread.join(60)
            assert not thread.is_alive()


def test_a_task_whose_last_input_did_not_fit_can_still_be_stopped_from_another_process(
    env: Environment,
) -> None:
    task_id = waiting(env, a=3)
    with pytest.raises(InputsError):
        env.app.manager.put_input(task_id, "b", [b"four"])
    assert App(env.app.settings, env.engine).kill(task_id).state is TaskState.KILLED


def invalid(call: Callable[[], object]) -> list[Problem]:
    """Return the problems of a call that is refused."""
    with pytest.raises(InputsError) as caught:
        call()
    return list(caught.value.problems)


def test_a_bad_value_is_refused_on_arrival_while_others_are_missing(env: Environment) -> None:
    task_id = waiting(env)
    (problem,) = invalid(lambda: env.app.manager.put_input(task_id, "a", [b"three"]))
    assert (problem.path, problem.message) == ("inputs.a", "invalid integer 'three'")
    assert env.app.store.open(task_id).uploaded_files() == {}


def test_a_bad_value_keeps_the_earlier_good_one_and_its_siblings(env: Environment) -> None:
    task_id = waiting(env)
    env.app.manager.put_input(task_id, "a", [b"3"])
    invalid(lambda: env.app.manager.put_input(task_id, "a", [b"x"]))
    invalid(lambda: env.app.manager.put_input(task_id, "b", [b"x"]))
    assert env.app.store.open(task_id).uploaded_files()["a"].read_bytes() == b"3"
    env.app.manager.put_input(task_id, "b", [b"4"])
    record = env.app.manager.wait_for(task_id, 60)
    assert record is not None
    assert record.outputs == {"sum": 7}


def test_a_bad_value_in_a_request_with_missing_inputs_creates_no_task(env: Environment) -> None:
    payload = {"bundle": str(env.bundle), "image": env.image, "inputs": {"a": "three"}}
    (problem,) = invalid(lambda: env.app.manager.create_task(payload))
    assert problem.path == "inputs.a"
    assert env.app.manager.active_tasks == []
    assert env.app.store.active_ids() == []


def test_an_unknown_input_name_is_refused_at_once_with_a_suggestion(env: Environment) -> None:
    payload = {"bundle": str(env.bundle), "image": env.image, "inputs": {"A1": 3}}
    (problem,) = invalid(lambda: env.app.manager.create_task(payload))
    assert problem.path == "inputs.A1"
    assert problem.remedy == "did you mean 'a'?"
    task_id = waiting(env)
    (problem,) = invalid(lambda: env.app.manager.put_input(task_id, "a1", [b"3"]))
    assert (problem.message, problem.remedy) == ("unknown input 'a1'", "did you mean 'a'?")


def test_a_good_last_value_is_kept_if_an_earlier_one_has_become_invalid(env: Environment) -> None:
    # Given a task whose first value was changed behind its back
    task_id = waiting(env)
    env.app.manager.put_input(task_id, "a", [b"3"])
    env.app.store.open(task_id).uploaded_files()["a"].write_text("x")

    # When the last value arrives, the first one is reported
    (problem,) = invalid(lambda: env.app.manager.put_input(task_id, "b", [b"4"]))
    assert problem.path == "inputs.a"

    # Then only that has to be sent again
    env.app.manager.put_input(task_id, "a", [b"5"])
    record = env.app.manager.wait_for(task_id, 60)
    assert record is not None
    assert record.outputs == {"sum": 9}


def test_the_record_says_what_is_missing_and_what_was_received(env: Environment) -> None:
    task_id = waiting(env)

    def stored() -> TaskRecord:
        return env.app.store.open(task_id).load()

    assert (stored().missing, stored().received) == (["a", "b"], {})
    env.app.manager.put_input(task_id, "b", [b"4"])
    assert (stored().missing, stored().received) == (["a"], {"b": 4})
    lines = env.app.store.open(task_id).events.read_text().splitlines()
    notes = [event["message"] for event in map(json.loads, lines) if event["kind"] == "note"]
    assert notes == ["waiting for inputs: a, b", "received input b", "waiting for inputs: a"]
    env.app.manager.put_input(task_id, "a", [b"3"])
    record = env.app.manager.wait_for(task_id, 60)
    assert record is not None
    assert (record.missing, record.received) == ([], {})


def test_the_next_process_knows_what_is_missing(env: Environment) -> None:
    task_id = waiting(env, a=3)
    env.app.manager.shutdown(on_exit="leave")
    other = App(env.app.settings, env.engine)
    other.recover()
    record = other.manager.find_task(task_id)
    assert record is not None
    assert (record.missing, record.received) == (["b"], {"a": 3})
    other.manager.put_input(task_id, "b", [b"4"])
    assert other.manager.wait_for(task_id, 60).outputs == {"sum": 7}  # type: ignore[union-attr]
    other.close()
