from __future__ import annotations

from pathlib import Path

import pytest

from localrun.app import App
from localrun.engines.fake import FakeContainer
from localrun.errors import UsageError
from localrun.manager import export
from localrun.settings import Settings
from localrun.task.states import TaskState
from tests.support.environment import make_environment


def add(container: FakeContainer) -> int:
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0


def test_tasks_that_are_moved_go_on_where_they_were(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        ended = env.run(values={"a": 3, "b": 4})
        free = env.app.manager.create_task({"type": "test"}, "ray")
        payload = {"bundle": str(env.bundle), "image": env.image, "inputs": {"a": 1}}
        waiting = env.app.manager.create_task(payload, "eve")
        file = tmp_path / "tasks.jsonl"
        assert export.export(env.app.tasks(), file) == 3
        settings = Settings(
            home=tmp_path / "new", cache=tmp_path / "cache", ledger=tmp_path / "ledger/l.json"
        )
        there = App(settings, env.engine)
        found = export.import_tasks(export.read(file), there.store, there.manager)
        assert (set(found.imported), found.problems) == ({ended.id, free.id, waiting.id}, [])
        server = App(settings, env.engine)
        server.recover()
        assert {record.id: record.assigned_by for record in server.manager.active_tasks} == {
            free.id: "ray",
            waiting.id: "eve",
        }
        again = server.manager.find_task(ended.id)
        server.manager.put_input(waiting.id, "b", [b"2"])
        record = server.manager.wait_for(waiting.id, 60)
    assert again is not None
    assert (again.state, again.outputs) == (TaskState.FINISHED, {"sum": 7})
    assert record is not None
    assert record.outputs == {"sum": 3}


def test_a_task_that_is_here_already_is_left_as_it_is(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        env.run(values={"a": 3, "b": 4})
        env.app.manager.create_task({}, "ray")
        found = export.import_tasks(env.app.tasks(), env.app.store, env.app.manager)
    assert found.imported == []
    assert len(found.problems) == 2
    assert "already" in str(found.problems[0])


def test_a_file_that_is_no_export_is_refused_with_every_line(tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"id": "a", "bundle": "b"}\n{"id": 1}\nhello\n')
    with pytest.raises(UsageError) as caught:
        export.read(file)
    assert [problem.line for problem in caught.value.problems] == [2, 3]


def test_a_hostile_id_makes_no_folder_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"id": "../../evil", "bundle": "b", "state": "FINISHED"}\n')
    with make_environment(tmp_path) as env:
        found = export.import_tasks(export.read(file), env.app.store, env.app.manager)
    assert found.imported == []
    assert not (tmp_path / "evil").exists()
