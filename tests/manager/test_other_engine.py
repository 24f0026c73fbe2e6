"""A folder with tasks on two engines: each task is continued, stopped and ended on its own engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from localrun import supervisor
from localrun.app import App
from localrun.engines.base import EngineInfo
from localrun.engines.fake import FakeEngine
from localrun.engines.fake.engine import INFO
from localrun.engines.labels import LABEL_TASK
from localrun.errors import EngineUnreachable, OtherEngine
from localrun.settings import Settings
from localrun.supervisor import Supervisor
from localrun.task import supervision
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from tests.manager.test_recovery import abandoned, add, hang, with_container
from tests.support.environment import Environment, make_environment

HERE, THERE = "unix:///here.sock", "unix:///there.sock"


class Engines:
    """Two engines by their addresses. `away` are the addresses that do not answer."""

    def __init__(self, there: FakeEngine) -> None:
        self.by_address = {HERE: FakeEngine(add, info=replace(INFO, address=HERE)), THERE: there}
        self.away: set[str] = set()

    def of(self, settings: Settings) -> FakeEngine:
        address = settings.docker_host or ""
        if address in self.away:
            raise EngineUnreachable(f"nothing answers at {address}")
        return self.by_address[address]


@contextmanager
def two_engines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, program: Any = add
) -> Iterator[tuple[Environment, App, Engines]]:
    """Yield an environment of the other engine, and the app of the next process, which uses this one."""
    engine = FakeEngine(program, info=replace(INFO, address=THERE))
    engines = Engines(engine)
    monkeypatch.setattr("localrun.engines.dockerd.DockerEngine.of", engines.of)
    with make_environment(folder, engine=engine) as env:
        yield env, App(replace(env.app.settings, docker_host=HERE)), engines


def left_there(env: Environment, state: str, *, start: bool = True) -> TaskRecord:
    """Leave a detached task of the other engine, with a container if it was running."""
    record = abandoned(env, state).replace(engine=THERE)
    env.app.store.open(record.id).save(record)
    if state == "RUNNING":
        with_container(env, record, start=start)
    return record


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING"])
def test_a_task_is_continued_on_its_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    with two_engines(tmp_path, monkeypatch) as (env, app, _):
        left = left_there(env, state)
        record = app.wait(left.id)
        app.close()
    assert (record.state, record.engine, record.outputs) == (TaskState.FINISHED, THERE, {"sum": 7})


def test_a_task_is_stopped_on_its_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with two_engines(tmp_path, monkeypatch, hang) as (env, app, _):
        left = left_there(env, "RUNNING")
        record = app.kill(left.id, 0)
        assert env.engine.find({LABEL_TASK: left.id}) == []
        app.close()
    assert record.state is TaskState.KILLED


def test_the_container_of_another_engine_decides_the_end_of_a_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a task of `localrun run` whose process died, and whose program has ended since
    with two_engines(tmp_path, monkeypatch) as (env, app, _):
        left = left_there(env, "RUNNING")
        workspace = env.app.store.open(left.id)
        workspace.save(left.replace(plan=left.run_plan.replace(detached=False)))
        (found,) = env.engine.find({LABEL_TASK: left.id})
        env.engine.wait(found.handle)

        # Then it is finished with its outputs, and its container is removed there
        (record,) = app.recovery.end_orphans()
        assert (record.state, record.outputs) == (TaskState.FINISHED, {"sum": 7})
        assert env.engine.find({LABEL_TASK: left.id}) == []
        app.close()


def test_the_supervisor_resumes_the_tasks_of_each_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_LINGER", 0.05)
    monkeypatch.setattr(supervisor, "_TICK", 0.05)
    with two_engines(tmp_path, monkeypatch) as (env, app, engines):
        engines.by_address[HERE].add_image(env.image)
        there = left_there(env, "QUEUED")
        here = abandoned(env, "QUEUED").replace(engine=HERE)
        env.app.store.open(here.id).save(here)
        descriptor = supervision.acquire(env.app.store.path)
        assert descriptor is not None
        Supervisor(app, descriptor).run()
        records = [env.app.store.open(one.id).load() for one in (there, here)]
        app.close()
    assert [(record.state, record.engine) for record in records] == [
        (TaskState.FINISHED, THERE),
        (TaskState.FINISHED, HERE),
    ]


def test_a_task_whose_engine_does_not_answer_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with two_engines(tmp_path, monkeypatch) as (env, app, engines):
        left = left_there(env, "QUEUED")
        engines.away.add(THERE)
        with pytest.raises(OtherEngine, match=THERE) as raised:
            app.wait(left.id)
        assert f"DOCKER_HOST={THERE} localrun wait" in raised.value.remedy
        assert app.recover() == []
        assert env.app.store.open(left.id).load().state is TaskState.QUEUED
        app.close()


def test_a_server_resumes_the_tasks_of_each_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with two_engines(tmp_path, monkeypatch) as (env, app, _):
        left = left_there(env, "RUNNING")
        assert [record.id for record in app.recover()] == [left.id]
        app.store.wait_released(left.id)
        assert env.app.store.open(left.id).load().state is TaskState.FINISHED
        app.close()


def test_an_engine_without_tasks_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def info(_: FakeEngine) -> EngineInfo:
        raise AssertionError

    with two_engines(tmp_path, monkeypatch) as (env, app, _):
        left = abandoned(env, "QUEUED")
        monkeypatch.setattr(FakeEngine, "info", info)
        assert app.at_engine_of(left.replace(engine="")) is app
        assert app.at_engine_of(left.replace(engine=HERE)) is app
        monkeypatch.undo()
        app.close()
