from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest

from localrun import descriptor
from localrun.descriptor.synthetic import describe_image
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.errors import AdmissionError, BundleError, Cause, EngineUnreachable, InputsError
from localrun.manager.manager import TaskManager
from localrun.manager.request import Request
from localrun.manager.submission import read_requested
from localrun.settings import Settings
from localrun.task.events import Event
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from tests.support.environment import make_environment


def nothing_is_left(folder: Path) -> bool:
    home = TaskStore(folder / ".localrun")
    return list(home.newest_first()) == [] and home.active_ids() == []


def test_all_values_that_do_not_fit_are_told_at_once_and_nothing_is_left(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env, pytest.raises(InputsError) as caught:
        env.submit(assignments=("a=three",))
    assert {problem.path for problem in caught.value.problems} >= {"inputs.a"}
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize(
    ("assignments", "values", "places"),
    [
        (["a=3", "c=4"], {}, ["inputs.c", "inputs.b"]),
        (["c=4", "a=x"], {}, ["inputs.c", "inputs.a", "inputs.b"]),
        (["a", "c=4"], {}, ["inputs.'a'", "inputs.c", "inputs.b"]),
        (["a=x"], {"a": 1, "b": "many", "d": 1}, ["inputs.a", "inputs.d", "inputs.b"]),
    ],
)
def test_unknown_missing_and_wrong_values_are_told_together_and_each_once(
    tmp_path: Path, assignments: list[str], values: dict[str, Any], places: list[str]
) -> None:
    with make_environment(tmp_path) as env, pytest.raises(InputsError) as caught:
        env.submit(assignments=assignments, values=values)
    assert [problem.path for problem in caught.value.problems] == places
    assert nothing_is_left(tmp_path)


def test_a_missing_required_input_is_told_by_its_name(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env, pytest.raises(InputsError) as caught:
        env.submit(values={"a": 3})
    assert [problem.path for problem in caught.value.problems] == ["inputs.b"]
    assert nothing_is_left(tmp_path)


def test_a_bundle_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env, pytest.raises(BundleError, match="nowhere"):
        env.app.manager.submit(Request(bundle=tmp_path / "nowhere.zip"))
    assert nothing_is_left(tmp_path)


def test_a_wrong_value_is_told_although_no_engine_answers(tmp_path: Path) -> None:
    def no_engine() -> None:
        raise EngineUnreachable("no engine")

    with make_environment(tmp_path) as env:
        settings = Settings(home=tmp_path / ".localrun", cache=tmp_path / "cache")
        manager = TaskManager(env.app.store, settings, no_engine)  # type: ignore[arg-type]
        request = Request(bundle=env.bundle, image=env.image, pull="never")
        with pytest.raises(InputsError):
            manager.submit(request)
        with pytest.raises(EngineUnreachable):
            manager.submit(Request(bundle=env.bundle, image=env.image, values={"a": 1, "b": 2}))
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        ({"cpus": 9999.0}, Cause.CPU_UNAVAILABLE),
        ({"memory": 2**60}, Cause.MEMORY_UNAVAILABLE),
        ({"gpus": 1}, Cause.GPU_UNAVAILABLE),
    ],
)
def test_what_this_machine_can_never_give_is_refused_at_once(
    tmp_path: Path, asked: dict[str, Any], cause: Cause
) -> None:
    with make_environment(tmp_path) as env, pytest.raises(AdmissionError) as caught:
        env.submit(values={"a": 1, "b": 2}, **asked)
    assert caught.value.cause is cause
    assert nothing_is_left(tmp_path)


def test_a_submitted_task_is_active_until_it_has_ended(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        go.wait()
        container.path("/outputs/sum").write_text("7")
        return 0

    with make_environment(tmp_path, program) as env:
        task = env.submit(values={"a": 3, "b": 4})
        assert [active.id for active in env.app.manager.get_all_active_tasks()] == [task.id]
        assert env.app.manager.wait(task, timeout=0) is None
        go.set()
        record = env.app.manager.wait(task)
        assert env.app.manager.get_all_active_tasks() == []
    assert record is not None
    assert record.state is TaskState.FINISHED


def test_what_the_user_asks_for_comes_before_what_the_descriptor_says(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        plain = env.run(values={"a": 3, "b": 4})
        other = env.run(values={"a": 3, "b": 4}, cpus=2, memory=10**8, network=True)
    assert (plain.resources.cpus, plain.resources.memory, plain.network) == (1, 64 * 1024**2, False)
    assert (other.resources.cpus, other.resources.memory, other.network) == (2, 10**8, True)


def test_an_assignment_comes_before_a_value_from_a_file(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        record = env.run(values={"a": 3, "b": 4}, assignments=("b=5",))
    assert record.inputs == {"a": 3, "b": 5}


def test_tasks_run_side_by_side(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def program(container: FakeContainer) -> int:
        together.wait(60)
        container.path("/outputs/sum").write_text("7")
        return 0

    with make_environment(tmp_path, program) as env:
        tasks = [env.submit(values={"a": 3, "b": 4}, cpus=0.5) for _ in range(4)]
        records = [env.app.manager.wait(task) for task in tasks]
    assert {record.state for record in records if record} == {TaskState.FINISHED}


def test_shutting_down_kills_what_still_runs(tmp_path: Path) -> None:
    engine = FakeEngine(lambda container: int(container.stopped.wait(60)))
    with make_environment(tmp_path, engine=engine) as env:
        task = env.submit(values={"a": 3, "b": 4})
        env.app.manager.shutdown()
        assert task.record.state is TaskState.KILLED
        assert env.app.manager.get_all_active_tasks() == []


def test_a_task_that_waits_says_why_in_numbers(tmp_path: Path) -> None:
    go = threading.Event()
    heard = threading.Event()
    engine = FakeEngine(lambda container: int(not go.wait(60)))

    def listen(event: Event) -> None:
        if event.data.get("waiting"):
            heard.set()

    with make_environment(tmp_path, engine=engine) as env:
        first = env.submit(values={"a": 1, "b": 2}, cpus=8)
        second = env.submit(values={"a": 1, "b": 2}, cpus=1, listener=listen)
        assert heard.wait(60)
        record = second.workspace.load()
        go.set()
        for task in (first, second):
            env.app.manager.wait(task)
    assert record.state is TaskState.QUEUING
    assert record.message == "0/1 nodes are available: 1 Insufficient cpu (requested 1, free 0 of 8)"


def test_a_task_that_waits_for_admission_can_be_killed_at_once(tmp_path: Path) -> None:
    engine = FakeEngine(lambda container: int(container.stopped.wait(60)))
    with make_environment(tmp_path, engine=engine) as env:
        first = env.submit(values={"a": 1, "b": 2}, cpus=8)
        second = env.submit(values={"a": 1, "b": 2}, cpus=8)
        env.app.manager.kill(second)
        assert env.app.manager.wait(second, 60) is not None
        assert (second.record.state, first.record.state.is_final) == (TaskState.KILLED, False)
        env.app.manager.kill(first)
        env.app.manager.wait(first)


def test_a_default_that_was_taken_is_told_and_noted(tmp_path: Path) -> None:
    notes: list[str] = []

    def hear(event: Event) -> None:
        if event.kind == "note":
            notes.append(event.message)

    with make_environment(tmp_path, lambda container: 1) as env:
        env.bundle.write_text(
            env.bundle.read_text().replace("display_name: B", "display_name: B, default: 4")
        )
        record = env.app.manager.wait(env.submit(listener=hear, values={"a": 3}))
        assert record is not None
        assert record.inputs == {"a": 3, "b": 4}
        kept = (Path(record.folder) / "events.jsonl").read_text()
    (told,) = [note for note in notes if "default" in note]
    assert "b" in told
    assert "4" in told
    assert told in kept


def test_the_descriptor_of_an_image_is_read_once_for_all_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = f"image-{uuid4()}"
    text = describe_image(image, {"a": 1}, {})
    read = Mock(wraps=descriptor.read)
    monkeypatch.setattr(descriptor, "read", read)
    request = Request(bundle=Path(), image=image, descriptor=text)
    first, second = (read_requested(request, tmp_path).descriptor for _ in range(2))
    assert first == second
    assert read.call_count == 1
