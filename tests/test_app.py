from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from localrun.admission import Capacity, machine_ledger_path
from localrun.app import App
from localrun.engines.base import EngineInfo
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.errors import EngineUnreachable, TaskNotFound, UsageError
from localrun.settings import Settings
from localrun.task.states import TaskState
from localrun.task.workspace import Workspace
from tests.support.environment import Environment, make_environment


def hang(container: FakeContainer) -> int:
    container.stopped.wait()
    return 0


def other_process(env: Environment) -> App:
    """Create another `App` for the same folder, with the state of the disk and the engine only."""
    return App(env.app.settings, env.engine)


def test_the_newest_tasks_come_first_and_a_damaged_one_hides_no_other(tmp_path: Path) -> None:
    with make_environment(tmp_path, lambda container: 1) as env:
        ids = [env.run(values={"a": 1, "b": 2}).id for _ in range(3)]
        (env.app.store.open(ids[1]).path / "task.json").write_text("{")
        assert [record.id for record in env.app.tasks()] == [ids[2], ids[0]]
        assert [record.id for record in env.app.tasks(limit=1)] == [ids[2]]


def test_a_task_can_be_killed_by_another_process(tmp_path: Path) -> None:
    started = threading.Event()

    def program(container: FakeContainer) -> int:
        started.set()
        return hang(container)

    with make_environment(tmp_path, program) as env:
        task = env.submit(values={"a": 1, "b": 2})
        assert started.wait(60)
        record = other_process(env).kill(task.id[:8])
        assert record.state is TaskState.KILLED
        env.app.manager.wait(task)


def test_a_task_that_has_ended_cannot_be_killed(tmp_path: Path) -> None:
    with make_environment(tmp_path, lambda container: 1) as env:
        record = env.run(values={"a": 1, "b": 2})
        with pytest.raises(UsageError, match=r"has ended already \(FAILED\)"):
            env.app.kill(record.id)


def test_the_records_of_own_tasks_are_not_read_to_look_for_those_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_environment(tmp_path) as env:
        env.app.manager.create_task({})
        monkeypatch.setattr(Workspace, "load", lambda _workspace: pytest.fail("the record was read"))
        env.app.supervise_others()
        monkeypatch.undo()


def test_another_process_waits_for_the_end_of_a_task(tmp_path: Path) -> None:
    go = threading.Event()
    with make_environment(tmp_path, lambda container: int(not go.wait(60))) as env:
        task = env.submit(values={"a": 1, "b": 2})
        ended: list[TaskState] = []
        waiter = threading.Thread(target=lambda: ended.append(other_process(env).wait(task.id).state))
        waiter.start()
        assert ended == []
        go.set()
        waiter.join(60)
        assert ended == [TaskState.FAILED]
        env.app.manager.wait(task)


def test_an_active_task_cannot_be_removed_and_an_ended_one_leaves_nothing(tmp_path: Path) -> None:
    with make_environment(tmp_path, hang) as env:
        task = env.submit(values={"a": 1, "b": 2})
        with pytest.raises(UsageError, match="has not ended") as caught:
            other_process(env).remove(task.id)
        assert "localrun kill" in caught.value.remedy
        env.app.manager.kill(task)
        env.app.manager.wait(task)
        assert env.app.remove(task.id[:8]) == task.id
        with pytest.raises(TaskNotFound):
            env.app.find(task.id)


def test_the_engine_is_connected_to_only_when_it_is_needed(tmp_path: Path) -> None:
    app = App(Settings(home=tmp_path, cache=tmp_path, docker_host="tcp://127.0.0.1:1"))
    assert app.tasks() == []
    app.close()


class SlowEngine(FakeEngine):
    """An engine that answers when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.go = threading.Event()

    def info(self) -> EngineInfo:
        self.asked.set()
        assert self.go.wait(60)
        return super().info()


def test_an_engine_that_is_expected_is_asked_at_once_and_waited_for_when_it_is_needed(tmp_path: Path) -> None:
    engine = SlowEngine()
    with make_environment(tmp_path, engine=engine) as env:
        env.app.connect_in_background()
        assert engine.asked.wait(60)
        threading.Timer(0.05, engine.go.set).start()
        assert env.app.engine is engine
        assert engine.go.is_set()


def test_an_engine_that_is_not_there_is_told_when_it_is_needed_and_not_before(tmp_path: Path) -> None:
    app = App(Settings(home=tmp_path, docker_host="unix:///nowhere.sock"))
    app.connect_in_background()
    with pytest.raises(EngineUnreachable, match=r"nowhere\.sock"):
        _ = app.runner
    app.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "engine"]


def test_an_invalid_address_is_reported_when_the_engine_is_needed(tmp_path: Path) -> None:
    app = App(Settings(home=tmp_path, docker_host="nothing"))
    app.connect_in_background()
    with pytest.raises(EngineUnreachable, match="unsupported scheme or port"):
        _ = app.engine
    app.close()


@pytest.mark.parametrize("shared", [True, False])
def test_what_was_set_is_what_tasks_are_admitted_and_watched_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    # Given an engine whose files are on another disk than the tasks
    root = tmp_path / "engine"
    root.mkdir()
    info = EngineInfo("fake", "1", "linux", "amd64", cpus=3, memory=7 * 1024**3, root=str(root))
    made: dict[str, Any] = {}

    def admission(ledger: Path, capacity: Capacity, disks: list[Path], **limits: float) -> None:
        made.update(ledger=ledger, capacity=capacity, admitted_by=disks, **limits)

    def watch(disks: list[Path], limit: float) -> None:
        made.update(watched=disks, stop=limit)

    monkeypatch.setattr("localrun.app.Admission", admission)
    monkeypatch.setattr("localrun.app.DiskMonitor", watch)
    own = tmp_path / "l.json"
    settings = Settings(
        home=tmp_path / "project" / ".localrun",
        cache=tmp_path,
        ledger=None if shared else own,
        disk_limit=81.0,
        disk_stop=94.0,
        disk_reserve=5,
    )
    (tmp_path / "project").mkdir()

    # When something first needs the engine
    engine = FakeEngine(info=info)
    runner = App(settings, engine).runner
    FakeEngine.close(engine)
    assert runner.engine is engine

    # Then the limits apply to both disks
    assert made.pop("admitted_by") == made.pop("watched") == [tmp_path / "project", root]
    assert made == {
        "ledger": machine_ledger_path("local") if shared else own,
        "capacity": Capacity(cpus=3, memory=7 * 1024**3, gpus=0),
        "disk_limit": 81.0,
        "disk_reserve": 5,
        "stop": 94.0,
    }


class Counting(FakeEngine):
    """An engine that counts calls of `close`."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


def test_the_engine_is_let_go_of_also_when_tasks_wait_for_somebody(tmp_path: Path) -> None:
    engine = Counting()
    app = App(Settings(home=tmp_path / "home"), engine)
    app.manager.create_task({"any": "thing"})
    assert app.engine is engine
    app.close()
    assert engine.closed > 0


def test_tasks_that_are_left_keep_the_engine_until_the_process_ends(tmp_path: Path) -> None:
    begun, go = threading.Event(), threading.Event()

    def program(_container: FakeContainer) -> int:
        begun.set()
        go.wait(60)
        return 1

    engine = Counting(program)
    with make_environment(tmp_path, engine=engine) as env:
        task = env.submit(values={"a": 1, "b": 2})
        assert begun.wait(60)
        env.app.close(on_exit="leave")
        assert engine.closed == 0
        go.set()
        assert task.wait(60)
        env.app.close(on_exit="leave")
        assert engine.closed > 0
