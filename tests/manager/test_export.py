from __future__ import annotations

from pathlib import Path

import pytest

from localrun.app import App
from localrun.engines.fake import FakeContainer
from localrun.errors import UsageError
from localrun.manager import export
from localrun.settings import Settings
from localrun.task.states import TaskState
from tests.support.environment import make_desk


def add(container: FakeContainer) -> int:
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0


def test_tasks_that_are_moved_go_on_where_they_were(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        ended = desk.run(values={"a": 3, "b": 4})
        free = desk.app.manager.create_task({"type": "test"}, "ray")
        payload = {"bundle": str(desk.bundle), "image": desk.image, "inputs": {"a": 1}}
        waiting = desk.app.manager.create_task(payload, "eve")
        file = tmp_path / "tasks.jsonl"
        assert export.export(desk.app.tasks(), file) == 3
        settings = Settings(
            home=tmp_path / "new", cache=tmp_path / "cache", ledger=tmp_path / "ledger/l.json"
        )
        there = App(settings, desk.engine)
        found = export.import_tasks(export.read(file), there.store, there.manager)
        assert (set(found.imported), found.problems) == ({ended.id, free.id, waiting.id}, [])
        server = App(settings, desk.engine)
        server.recover()
        assert {record.id: record.assigned_by for record in server.manager.active_tasks} == {
            free.id: "ray",
            waiting.id: "eve",
        }
        again = server.manager.find_task(ended.id)
        server.manager.put_input(waiting.id, "b", [b"2"])
        record = server.manager.wait_for(waiting.id, 10)
    assert again is not None
    assert (again.state, again.outputs) == (TaskState.FINISHED, {"sum": 7})
    assert record is not None
    assert record.outputs == {"sum": 3}


def test_a_task_that_is_here_already_is_left_as_it_is(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        desk.run(values={"a": 3, "b": 4})
        desk.app.manager.create_task({}, "ray")
        found = export.import_tasks(desk.app.tasks(), desk.app.store, desk.app.manager)
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
    with make_desk(tmp_path) as desk:
        found = export.import_tasks(export.read(file), desk.app.store, desk.app.manager)
    assert found.imported == []
    assert not (tmp_path / "evil").exists()
