"""Use every public name of localrun and its plugin, for the type checker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import localrun as package
from localrun.pytest_plugin import (
    Answer,
    Bench,
    Case,
    Client,
    LiveServer,
    Mismatch,
    ProjectBundle,
    Run,
    ScriptedEngine,
    TaskEnded,
)

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.manager.manager import TaskManager

BUNDLE = Path(__file__).parent.parent / "task"


def test_a_task_has_a_handle(fake_engine: ScriptedEngine, localrun: Bench, localrun_app: App) -> None:
    fake_engine.plan(exit_code=3)
    with package.using(localrun_app):
        task: package.Task = package.submit(BUNDLE, size=8, radius=1, home=localrun.folder)
        states = package.wait_all([task], timeout=10.0)
        assert [str(state) for state in states] == ["FAILED"]
        assert package.Task(task.id[:8], home=localrun.folder) == task
        with pytest.raises(package.TaskFailed):
            package.run(BUNDLE, size=8, radius=1, home=localrun.folder)


def test_a_run_of_a_fake_engine_tells_what_it_was_given(fake_engine: ScriptedEngine, localrun: Bench) -> None:
    localrun.submit(size=8, radius=1).wait()
    run: Run = fake_engine.runs[0]
    assert (run.read("size"), run.path("size").name, run.task_id) == ("8", "size", localrun.last.id)


def test_an_end_that_was_not_wanted_is_an_assertion(fake_engine: ScriptedEngine, localrun: Bench) -> None:
    fake_engine.plan(exit_code=3, stderr="no luck")
    with pytest.raises(TaskEnded) as raised:
        localrun(size=8, radius=1)
    error: AssertionError = raised.value
    assert "no luck" in str(error)


def test_a_server_answers(fake_engine: ScriptedEngine, localrun_server: LiveServer) -> None:
    client: Client = localrun_server.client
    answer: Answer = client.get("/task/list")
    assert (answer.status, answer.text[0]) == (200, "{")
    assert answer.json()["active_tasks"] == []
    assert localrun_server.url.startswith("http://")


def test_a_manager_begins_empty(fake_engine: ScriptedEngine, task_manager: TaskManager) -> None:
    assert task_manager.active_tasks == []
    own: package.TaskManager = package.TaskManager()
    assert own.create_task({"n": 1}, "ray") in own.active_tasks


@pytest.mark.localrun
def test_the_bundle_is_described(localrun_bundle: ProjectBundle) -> None:
    assert localrun_bundle.descriptor.name == "Draw a disc"
    assert localrun_bundle.path == BUNDLE
    assert localrun_bundle.image


@pytest.mark.localrun(cases="cases/small")
def test_cases_tell_in_what_they_differ(fake_engine: ScriptedEngine, localrun_case: Case) -> None:
    files = Path(__file__).parent / "cases/small/expected"
    outline = files / "outline.geojson"
    fake_engine.plan(outputs={"area": -1, "outline": outline, "mask": files / "mask.png", "profile": b"?"})
    with pytest.raises(Mismatch) as raised:
        localrun_case.check()
    assert "outputs.area" in [difference.path for difference in raised.value.differences]
