"""Deletion of old tasks when a task ends."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from localrun.batch.store import BatchStore
from localrun.engines.fake import FakeContainer
from localrun.errors import UsageError
from localrun.manager.request import Request
from localrun.manager.retention import Retention
from localrun.settings import load
from localrun.task.record import BatchRow, TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace
from tests.manager.test_recovery import add
from tests.support.environment import DESCRIPTOR, Environment, make_environment

VALUES = {"a": 1, "b": 2}


def ids(env: Environment) -> set[str]:
    return {workspace.id for workspace in env.app.store.newest_first()}


def deletions(record: TaskRecord) -> list[Any]:
    events = Workspace(record.folder).read_events()
    return [event for event in events if "deleted" in event.data]


def test_no_task_is_deleted_by_default(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        made = {env.run(values=VALUES).id for _ in range(3)}
        assert ids(env) == made
        assert not (env.app.store.path / "retention.json").exists()


def test_the_newest_tasks_are_kept_and_the_deleted_ones_are_named(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=2) as env:
        records = [env.run(values=VALUES) for _ in range(4)]
        assert ids(env) == {record.id for record in records[2:]}
        (event,) = deletions(records[3])
        assert event.data["deleted"] == [records[1].id]
        assert event.message.startswith("deleted 1 old task (")
        assert f"LOCALRUN_KEEP=2): {records[1].short_id}" in event.message
        assert env.app.manager.find_task(records[0].id) is None


def test_the_event_reaches_the_listeners_before_the_task_is_released(tmp_path: Path) -> None:
    seen: list[str] = []
    with make_environment(tmp_path, add, keep=1) as env:
        env.run(values=VALUES)
        env.run(values=VALUES, listener=lambda event: seen.append(event.message))
    assert any(message.startswith("deleted 1 old task") for message in seen)


def test_old_and_large_tasks_are_deleted(tmp_path: Path) -> None:
    def large(container: FakeContainer) -> int:
        container.path("/outputs/big").write_bytes(b"x" * 3_000_000)
        return add(container)

    with make_environment(tmp_path, large, max_size=8_000_000) as env:
        records = [env.run(values=VALUES) for _ in range(4)]
        assert ids(env) == {record.id for record in records[2:]}
    (tmp_path / "old").mkdir()
    with make_environment(tmp_path / "old", add, max_age=3600.0) as env:
        first = env.run(values=VALUES)
        with mock.patch("time.time", return_value=time.time() + 7200):
            last = env.run(values=VALUES)
        assert first.id not in ids(env)
        assert last.id in ids(env)


def test_unfinished_tasks_are_never_deleted(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=1) as env:
        manual = env.app.manager.create_task({"question": "?"})
        waiting = env.submit(wait_for_inputs=True)
        for _ in range(3):
            last = env.run(values=VALUES)
        assert ids(env) == {manual.id, waiting.id, last.id}


def test_a_task_is_kept_while_another_one_uses_its_files(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=1) as env:
        first = env.run(values=VALUES)
        env.bundle.write_text(DESCRIPTOR.replace("a: {type: integer", "a: {type: file"))
        output = Path(first.folder, "outputs", "sum")
        env.app.engine.program = lambda container: container.path("/outputs/sum").write_text("1") and 0  # type: ignore[attr-defined]
        user = env.run(values={"a": output, "b": 1})
        assert user.state is TaskState.FINISHED
        assert ids(env) == {first.id, user.id}
        env.bundle.write_text(DESCRIPTOR)
        for _ in range(2):
            last = env.run(values=VALUES)
        assert ids(env) == {last.id}


def test_replicas_are_deleted_with_their_task_and_count_as_one(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=2) as env:
        group = env.run(values=VALUES, replicas=2)
        assert group.replication is not None
        single = env.run(values=VALUES)
        assert ids(env) == {group.id, *group.replication.ids, single.id}
        other = env.run(values=VALUES)
        assert ids(env) == {single.id, other.id}


def test_a_task_that_is_being_read_is_kept(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=1) as env:
        first = env.run(values=VALUES)
        with Workspace(first.folder).reading():
            second = env.run(values=VALUES)
        assert ids(env) == {first.id, second.id}
        third = env.run(values=VALUES)
        assert ids(env) == {third.id}


def test_records_are_read_once(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=50) as env:
        for _ in range(5):
            env.run(values=VALUES)
        read: list[str] = []
        real = Workspace.load_or_none

        def counted(workspace: Workspace) -> TaskRecord | None:
            read.append(workspace.id)
            return real(workspace)

        with mock.patch.object(Workspace, "load_or_none", counted):
            last = env.run(values=VALUES)
        assert read.count(last.id) >= 1
        assert set(read) == {last.id}


def test_a_slow_pass_is_not_repeated_at_once(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=1) as env:
        env.run(values=VALUES)
        file = env.app.store.path / "retention.json"
        facts = json.loads(file.read_bytes())
        file.write_text(json.dumps(facts | {"took": 60.0}))
        env.run(values=VALUES)
        env.run(values=VALUES)
        assert len(ids(env)) == 3


@pytest.mark.parametrize("content", [b"", b"{}", b"garbage", b'{"tasks": {"x": 3}}', b'{"tasks": {"x": {}}}'])
def test_a_damaged_cache_is_made_again(content: bytes, tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=1) as env:
        first = env.run(values=VALUES)
        (env.app.store.path / "retention.json").write_bytes(content)
        second = env.run(values=VALUES)
        assert first.id not in ids(env)
        assert second.id in ids(env)


def test_a_failure_is_an_event_and_not_a_failure_of_the_task(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=1) as env:
        env.run(values=VALUES)
        with mock.patch.object(Retention, "_pass", side_effect=PermissionError(13, "Permission denied")):
            record = env.run(values=VALUES)
        assert record.state is TaskState.FINISHED
        messages = [event.message for event in Workspace(record.folder).read_events()]
        assert "cannot delete old tasks: Permission denied" in messages


def test_a_manual_task_counts_as_any_other(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=1) as env:
        first = env.app.manager.create_task({"question": "1"})
        second = env.app.manager.create_task({"question": "2"})
        env.app.manager.complete_task(first.id, {})
        env.app.manager.complete_task(second.id, {})
        assert ids(env) == {second.id}


def test_limits_are_settings_with_units() -> None:
    found = load({"LOCALRUN_KEEP": "10", "LOCALRUN_MAX_AGE": "30d", "LOCALRUN_MAX_SIZE": "50Gi"})
    assert (found.keep, found.max_age, found.max_size) == (10, 30 * 86400.0, 50 * 1024**3)
    with pytest.raises(UsageError) as caught:
        load({"LOCALRUN_KEEP": "0", "LOCALRUN_MAX_AGE": "old", "LOCALRUN_MAX_SIZE": "-1"})
    assert {problem.path for problem in caught.value.problems} == {
        *("LOCALRUN_KEEP", "LOCALRUN_MAX_AGE", "LOCALRUN_MAX_SIZE"),
    }


# -- reservations that are not accessible ------------------------------------------------------------


def test_a_task_ends_if_the_reservations_are_not_accessible(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        (tmp_path / "ledger").write_text("a file in place of the folder")
        record = env.run(values=VALUES)
        assert record.state is TaskState.FAILED
        assert "cannot access the reservation file" in record.message
        assert record.remedy
        assert env.app.store.active_ids() == []


def test_a_task_that_gets_its_last_input_ends_if_the_reservations_are_not_accessible(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        task = env.submit(values={"a": 1}, wait_for_inputs=True)
        (tmp_path / "ledger").write_text("a file in place of the folder")
        env.app.manager.put_input(task.id, "b", [b"2"])
        record = env.app.manager.wait(task)
        assert record is not None
        assert record.state is TaskState.FAILED


def test_a_task_without_a_thread_is_not_created(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        env.app.runner  # noqa: B018 - connects
        with (
            mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")),
            pytest.raises(RuntimeError),
        ):
            env.app.manager.submit(Request(env.bundle, image=env.image, pull="never", values=VALUES))
        assert ids(env) == set()
        assert env.app.manager.get_all_active_tasks() == []
        assert TaskStore(env.app.settings.home).active_ids() == []
        assert not list(env.app.store.tasks.iterdir())


def test_a_task_that_gets_its_last_input_ends_if_no_thread_can_start(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        task = env.submit(values={"a": 1}, wait_for_inputs=True)
        env.app.runner  # noqa: B018 - connects
        with mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")):
            env.app.manager.put_input(task.id, "b", [b"2"])
        record = env.app.manager.wait(task)
        assert record is not None
        assert (record.state, record.cause) == (TaskState.FAILED, "MEMORY_UNAVAILABLE")
        assert env.app.store.active_ids() == []
        assert env.app.runner.admission.snapshot().waiting == ()


def test_a_task_whose_result_was_reused_counts_as_ended_then(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=2) as env:
        records = [env.run(values={"a": number, "b": 1}) for number in range(2)]
        assert env.submit(values={"a": 0, "b": 1}, reuse="yes").id == records[0].id
        last = env.run(values={"a": 3, "b": 1})
        assert ids(env) == {records[0].id, last.id}


def test_tasks_of_a_batch_that_has_not_ended_are_kept(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, keep=1) as env:
        batches = BatchStore(env.app.store.path)
        batch = batches.create(bundle="b")
        row = env.run(values=VALUES, batch=BatchRow(id=batch.id, row=1))
        second = env.run(values=VALUES)
        assert ids(env) == {row.id, second.id}
        batches.save(batch.replace(ended=time.time()))
        third = env.run(values=VALUES)
        assert ids(env) == {third.id}
