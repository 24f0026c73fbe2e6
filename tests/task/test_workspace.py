from __future__ import annotations

import errno
import json
import threading

import pytest

from localrun.errors import Cause, LocalrunError, TaskNotFound
from localrun.task.events import Event
from localrun.task.record import TaskRecord
from localrun.task.store import TaskStore
from tests.support.stored_tasks import made, mode


def test_other_users_of_the_machine_cannot_enter_a_task(home: TaskStore) -> None:
    assert mode(made(home).path) == 0o700


def test_a_record_is_read_back_as_it_was_written(home: TaskStore) -> None:
    workspace = made(home)
    record = TaskRecord(id=workspace.id, bundle="b", inputs={"a": [1, "ü"]})
    workspace.save(record)
    assert workspace.load() == record
    assert sorted(path.name for path in workspace.path.iterdir()) == [
        "descriptor.yml", "inputs", "logs", "outputs", "reserve", "task.json",
    ]  # fmt: skip


def test_a_reader_never_sees_half_a_record(home: TaskStore) -> None:
    workspace = made(home)
    done = threading.Event()

    def write() -> None:
        for size in range(200):
            workspace.save(TaskRecord(id=workspace.id, bundle="b" * size * 100))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert workspace.load().id == workspace.id
    writer.join()


@pytest.mark.parametrize("damage", ["", "{", '{"id": "a"}', "null"])
def test_a_damaged_record_is_named_and_can_be_removed(home: TaskStore, damage: str) -> None:
    workspace = made(home)
    (workspace.path / "task.json").write_text(damage)
    with pytest.raises(TaskNotFound, match="no readable record") as caught:
        workspace.load()
    assert "localrun rm" in caught.value.remedy
    assert workspace.load_or_none() is None


def test_no_half_of_a_task_is_left_if_its_deletion_is_interrupted(
    home: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = made(home)

    def interrupted(path: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workspace.remove()
    assert home.find(workspace.id) is None
    assert [path.name.endswith(".localrun-tmp") for path in home.path.glob(f".{workspace.id}*")] == [True]


def test_a_task_that_cannot_be_deleted_stays_where_it_is(
    home: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = made(home)

    def refused(path: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", f"{path}/outputs/a")

    monkeypatch.setattr("shutil.rmtree", refused)
    with pytest.raises(LocalrunError) as caught:
        workspace.remove()
    assert caught.value.message == f"cannot delete {workspace}/outputs/a: Operation not permitted"
    assert home.find(workspace.id) is not None
    assert list(home.path.glob(f".{workspace.id}*")) == []


def test_events_are_kept_one_a_line(home: TaskStore) -> None:
    workspace = made(home)
    workspace.append_event(Event("note", workspace.id, "first\nsecond", {"ü": 1}))
    workspace.append_event(Event("note", workspace.id, "third"))
    lines = (workspace.path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["first\nsecond", "third"]


@pytest.mark.parametrize(
    ("writable", "file_mode", "folder_mode"), [(False, 0o644, 0o755), (True, 0o666, 0o777)]
)
def test_any_user_can_read_the_inputs_and_write_the_outputs(
    home: TaskStore, writable: bool, file_mode: int, folder_mode: int
) -> None:
    workspace = made(home)
    (workspace.inputs / "xs").mkdir(mode=0o700)
    (workspace.inputs / "xs" / "0").touch(mode=0o600)
    assert workspace.make_accessible(writable_inputs=writable) == 4
    assert mode(workspace.outputs) == 0o777
    assert mode(workspace.inputs) == mode(workspace.inputs / "xs") == folder_mode
    assert mode(workspace.inputs / "xs" / "0") == file_mode


def test_a_request_to_stop_is_seen_by_whoever_looks_at_the_folder(home: TaskStore) -> None:
    workspace = made(home)
    assert not home.open(workspace.id).kill_requested
    workspace.request_kill()
    assert home.open(workspace.id).kill_requested


def test_a_disk_without_room_is_told_as_that(home: TaskStore) -> None:
    workspace = home.create()
    workspace.descriptor.symlink_to("/dev/full")
    with pytest.raises(LocalrunError, match="no space left") as caught:
        workspace.create_dirs(b"name: x\n")
    assert caught.value.cause is Cause.DISK_FULL


def test_room_for_the_end_is_kept_and_given_back(home: TaskStore) -> None:
    workspace = made(home)
    assert (workspace.path / "reserve").stat().st_blocks * 512 >= 32 * 1024
    for _ in range(2):
        workspace.release_reserve()
    assert not (workspace.path / "reserve").exists()
