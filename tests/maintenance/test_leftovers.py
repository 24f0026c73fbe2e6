"""Leftovers are found; what is still in use is not."""

from __future__ import annotations

import os
import signal
import tempfile
import traceback
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localrun import descriptor, fs
from localrun.admission.ledger import Ledger
from localrun.bundle.builder.builder import BuildOptions
from localrun.bundle.builder.builder import build as build_bundle
from localrun.bundle.images import file_cache
from localrun.bundle.scaffold import template
from localrun.engines.base import ContainerSpec
from localrun.engines.dockerd.builders.buildkit import TEMPORARY
from localrun.engines.fake import FakeEngine
from localrun.engines.labels import (
    LABEL_HOME,
    LABEL_LEDGER,
    LABEL_OWNER,
    LABEL_TASK,
    container_name,
    inspection_labels,
)
from localrun.maintenance import leftovers
from localrun.maintenance.doctor.leftovers import check_home_leftovers
from localrun.manager import export
from localrun.platforms.iexec.zip import pack
from localrun.runner.usage import UsageFile
from localrun.server.appengine.app_stores import AppStores
from localrun.server.appengine.runs import RunStore
from localrun.server.appengine.uploaded_tasks import UploadedTasks
from localrun.server.bundle_store import BundleStore
from localrun.task import metadata
from localrun.task.process import current_process
from localrun.task.record import ProcessId, Resources, RunPlan, TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace
from localrun.values.reuse.index import ReuseIndex
from localrun.values.reuse.seal import Seal
from localrun.values.untrusted import UntrustedDir
from tests.server.test_bundle_store import folder_bundle
from tests.support.environment import DESCRIPTOR, IMAGE
from tests.support.images import busybox_layer, image_archive


@pytest.fixture
def home(tmp_path: Path) -> TaskStore:
    return TaskStore(tmp_path / "home")


@pytest.fixture
def engine() -> FakeEngine:
    made = FakeEngine()
    made.add_image(IMAGE)
    return made


def dead_owner() -> ProcessId:
    """Return a process of this boot that does not exist."""
    mine = current_process()
    return ProcessId(host=mine.host, pid=2**22 + 1, started=1.0, boot=mine.boot)


def make(
    home: TaskStore,
    state: TaskState = TaskState.RUNNING,
    *,
    owner: ProcessId | None = None,
    detached: bool = False,
) -> Workspace:
    """Create the files of a task of a process."""
    workspace = home.create()
    workspace.create_dirs()
    record = TaskRecord(
        id=workspace.id,
        bundle="",
        state=state,
        history=[(state, 1.0)],
        owner=owner or dead_owner(),
        plan=RunPlan(detached=detached),
        folder=str(workspace.path),
    )
    workspace.save(record)
    claim = home.acquire(workspace.id, new=True)
    assert claim is not None
    claim.release(ended=state.is_final)
    return workspace


def contain(engine: FakeEngine, task_id: str, folder: Path, **more: str) -> str:
    labels = {LABEL_TASK: task_id, LABEL_HOME: str(folder), **more}
    return engine.create(ContainerSpec(IMAGE, name=container_name(task_id), labels=labels))


def test_the_containers_of_no_use_are_told_with_the_reason(
    home: TaskStore, engine: FakeEngine, tmp_path: Path
) -> None:
    made = {
        "its process died": make(home).id,
        "its task has ended": make(home, TaskState.FAILED).id,
        "its task was deleted": "gone",
        "": make(home, owner=current_process()).id,
        "goes on": make(home, detached=True).id,
    }
    for task_id in made.values():
        contain(engine, task_id, home.path)
    made[f"its folder {tmp_path}/no-such-home does not exist"] = "elsewhere"
    contain(engine, "elsewhere", tmp_path / "no-such-home")
    found = {stray.reason: stray.task_id for stray in leftovers.orphan_containers(home, engine)}
    assert found == {why: task_id for why, task_id in made.items() if why.startswith("its ")}
    unrecorded = {
        stray.task_id for stray in leftovers.orphan_containers(home, engine) if not stray.has_record
    }
    assert unrecorded == {"gone", "elsewhere"}
    engine.close()


def test_containers_of_other_folders_of_another_ledger_are_not_listed(
    home: TaskStore, engine: FakeEngine, tmp_path: Path
) -> None:
    # Given containers of processes with another ledger, in this folder and in another one
    theirs = tmp_path / "their.json"
    theirs.touch()
    other = TaskStore(tmp_path / "other")
    own, foreign = make(home), make(other)
    for task, place in ((own, home), (foreign, other)):
        contain(engine, task.id, place.path, **{LABEL_LEDGER: str(theirs)})

    def found(ledger: Path) -> set[str]:
        return {each.task_id for each in leftovers.orphan_containers(home, engine, ledger)}

    # Then only those of this folder are listed, until the other ledger is gone
    assert found(tmp_path / "own.json") == {own.id}
    assert found(theirs) == {own.id, foreign.id}
    theirs.unlink()
    assert found(tmp_path / "own.json") == {own.id, foreign.id}
    engine.close()


@pytest.mark.parametrize(
    ("owner", "count"),
    [
        pytest.param(f"{os.uname().nodename}:{os.getpid()}:", 0, id="alive"),
        pytest.param(f"{os.uname().nodename}:{2**22 + 1}:", 1, id="dead"),
        pytest.param(f"another-host:{2**22 + 1}:", 0, id="elsewhere"),
        pytest.param("", 1, id="unknown"),
    ],
)
def test_a_container_in_which_a_process_looks_at_an_image_is_in_use(
    home: TaskStore, engine: FakeEngine, owner: str, count: int
) -> None:
    home.path.mkdir()
    labels = inspection_labels("look-1") | {LABEL_OWNER: owner}
    engine.create(ContainerSpec(IMAGE, name=container_name("look-1"), labels=labels))
    assert len(leftovers.orphan_containers(home, engine)) == count
    engine.close()


def test_containers_of_another_folder_of_the_user_are_told_too(
    home: TaskStore, engine: FakeEngine, tmp_path: Path
) -> None:
    other = TaskStore(tmp_path / "other")
    task = make(other)
    contain(engine, task.id, other.path)
    (found,) = leftovers.orphan_containers(home, engine)
    assert (found.task_id, found.home, found.reason) == (task.id, other.path, "its process died")
    engine.close()


def test_claims_of_tasks_that_are_gone_or_have_ended_are_stale(home: TaskStore) -> None:
    running, ended = make(home, owner=current_process()), make(home, TaskState.FAILED)
    for name in (ended.id, "gone"):
        (home.path / "active" / name).touch()
    assert sorted(leftovers.stale_locks(home)) == sorted([ended.id, "gone"])
    assert running.id in home.active_ids()


def test_records_that_cannot_be_read_are_found(home: TaskStore) -> None:
    make(home, TaskState.FINISHED)
    broken = make(home, TaskState.FINISHED)
    (broken.path / "task.json").write_text("{")
    assert [place.id for place in leftovers.unreadable_tasks(home, 10)] == [broken.id]


def test_a_task_that_is_just_being_made_is_not_broken(home: TaskStore) -> None:
    workspace = home.create()
    claim = home.acquire(workspace.id, new=True)
    assert leftovers.unreadable_tasks(home, 10) == []
    assert claim is not None
    claim.release(ended=True)


WRITERS: dict[str, Callable[[Path, Workspace], object]] = {
    "record": lambda _, task: task.save(task.load()),
    "kill request": lambda _, task: task.request_kill(),
    "metadata": lambda _, task: metadata.save(task, {"a": "b"}),
    "upload": lambda _, task: task.save_upload("a", [b"x"]),
    "usage": lambda _, task: UsageFile(task.usage)._thin_out(),
    "iexec zip": lambda _, task: pack(
        UntrustedDir(task.outputs, "/out"), [], task.packed_result, lambda: None
    ),
    "cache": lambda folder, _: file_cache.write_entry(folder / "cache", "bundles", "x", {}),
    "digest": lambda folder, _: file_cache.write_entry(folder / "cache", "digests/ab", "x", {}),
    "result": lambda folder, task: ReuseIndex(folder / "home").add("f" * 64, task.id, Seal({})),
    "ledger": lambda folder, task: reserve(folder / "ledger" / "l.json", task),
    "export": lambda folder, task: export.export([task.load()], folder / "tasks.jsonl"),
    "scaffold": lambda folder, _: template.write(template.Scaffold({"a": b"x"}), folder / "new"),
    "built bundle": lambda folder, _: build(folder),
    "uploaded bundle": lambda folder, _: upload(folder),
    "uploaded task": lambda folder, _: upload_task(folder / "home" / "appengine" / "tasks"),
    "run": lambda folder, _: RunStore(folder / "home" / "appengine" / "runs").create("x"),
    "app stores": lambda folder, _: AppStores(folder / "home" / "appengine" / "stores.json").add("a", "b"),
}


def reserve(path: Path, task: Workspace) -> None:
    with Ledger(path, print).transaction() as txn:
        txn.put(txn.new_entry(task.id, Resources(cpus=1, memory=1)))


def build(folder: Path) -> None:
    bundle = folder_bundle(folder / "bundle")
    (bundle / "com.example.add-1.0.0.tar").write_bytes(image_archive(busybox_layer({}), "x:1", Cmd=["sh"]))
    build_bundle(BuildOptions(bundle, folder / "add.zip", force=True), FakeEngine, cache=folder / "cache")


def upload(folder: Path) -> None:
    store = BundleStore([], folder / "home" / "bundles", cache=folder / "cache")
    store.add(killed_after(b"PK"))


def upload_task(folder: Path) -> None:
    tasks = UploadedTasks(folder)
    with tasks.receiving() as received:
        tasks.add(received, descriptor.read(DESCRIPTOR.encode()))


def killed_after(data: bytes) -> Iterator[bytes]:
    yield data
    os.kill(os.getpid(), signal.SIGKILL)


def run_killed_before_rename(write: Callable[[], object]) -> int:
    """Run `write` in a process that is killed when it renames the temporary file; return its pid."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        return pid
    os.replace = os.rename = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    try:
        write()
    finally:
        traceback.print_exc()
        os._exit(1)


@pytest.mark.parametrize("name", WRITERS)
def test_the_temporary_file_of_each_writer_is_found_when_it_was_killed(
    home: TaskStore, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make(home, TaskState.FINISHED)
    pid = run_killed_before_rename(lambda: WRITERS[name](tmp_path, task))
    places = (home, tmp_path / "cache", tmp_path / "ledger" / "l.json")
    assert list(leftovers.temp_files(*places)) == []  # too new: it may be of another container
    monkeypatch.setattr(fs, "_MINUTE", -1.0)
    found = list(leftovers.temp_files(*places))
    assert found
    assert all(f".{pid}-" in path.name for path in found)
    (files,) = (check for check in check_home_leftovers(*places) if check.name == "temporary files")
    assert files.facts["count"] == len(found)
    for path in found:
        fs.remove(path)
    assert list(leftovers.temp_files(*places)) == []


def test_temporary_files_of_0_1_0_are_found(home: TaskStore, tmp_path: Path) -> None:
    task = make(home, TaskState.FINISHED)
    folder, uploads, incoming = task.path, task.uploads, home.path / "bundles" / ".incoming"
    bundles = tmp_path / "cache" / "bundles"
    dead = 2**22 + 1  # above the largest pid
    token = uuid.uuid4().hex
    found = [
        folder / f"task.json.{dead}.tmp",
        folder / f"metadata.json.{dead}.ab12.tmp",
        folder / f".iexec_out.zip.{dead}",
        task.logs / "usage.tmp",
        uploads / f".a.{token}",
        incoming / token,
        bundles / f"x.{dead}.99",
    ]
    others = [
        folder / f"task.json.{os.getpid()}.tmp",
        folder / "results.1.tmpx",
        folder / f".task.json.{os.getpid()}-ab12.localrun-tmp",
        uploads / token,
        task.outputs / f".x.{dead}-ab12.localrun-tmp",
        bundles / "x.json",
        tmp_path / f".add.zip.{dead}",
    ]
    for path in (*found, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
        os.utime(path, (1, 1))
    (folder / f"kill.{dead}.tmp").write_text("1")  # too new
    places = (home, tmp_path / "cache", tmp_path / "l.json")
    assert sorted(leftovers.temp_files(*places)) == sorted(found)


@pytest.mark.parametrize("name", ["data.2024.4194305.1", "backup.4194305.tmp", "data-1.4194305.6"])
def test_files_and_folders_of_the_user_are_not_temporary(home: TaskStore, tmp_path: Path, name: str) -> None:
    task, ledger = make(home, TaskState.FINISHED), tmp_path / "user" / "ledger.json"
    for folder in (home.path, home.path / "bundles", ledger.parent, tmp_path):
        (folder / name).mkdir(parents=True)
        os.utime(folder / name, (1, 1))
    for folder in (task.path, task.logs, task.uploads):
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
        os.utime(folder / name, (1, 1))
    assert list(leftovers.temp_files(home, tmp_path / "cache", ledger)) == []


def test_what_an_engine_of_tests_left_is_found_once_it_is_old(
    home: TaskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("localrun-fake-old", "localrun-fake-new", "localrun-other"):
        (tmp_path / name).mkdir()
    for name in ("localrun-fake-old", "localrun-other"):
        os.utime(tmp_path / name, (1, 1))
    found = leftovers.temp_files(home, tmp_path / "cache", tmp_path / "l.json")
    assert list(found) == [tmp_path / "localrun-fake-old"]


def test_the_folder_of_a_killed_build_is_found(
    home: TaskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    dead = temporary / f".localrun-build.{2**22 + 1}-ab12.localrun-tmp"
    for path in (dead, Path(fs.temp_path(str(temporary / TEMPORARY)))):
        path.mkdir(parents=True)
        os.utime(path, (1, 1))
    assert list(leftovers.temp_files(home, tmp_path / "cache", tmp_path / "l.json")) == [dead]


def test_only_images_that_localrun_named_are_its_own(engine: FakeEngine) -> None:
    for name in ("localrun/image:aa", "localrun/build:bb", "localrun-test/x:1", "mine:1"):
        engine.add_image(name)
    assert sorted(name for name, _ in leftovers.images(engine)) == ["localrun/build:bb", "localrun/image:aa"]


def test_images_of_interrupted_builds_are_found_by_name(engine: FakeEngine) -> None:
    engine.add_image("localrun/build:aa")
    engine.add_image("localrun/build:aa-12345678")
    engine.add_image("localrun/image:b-b")
    engine.add_image("x", labels={"localrun.build": "1"})
    named = engine.add_image("localrun/build:cc", labels={"localrun.build": "2"})
    engine.tag_image(named.id, "x")  # removes the name from the other image, which may be the user's
    assert [name for name, _ in leftovers.dangling_images(engine)] == ["localrun/build:aa-12345678"]


def test_the_empty_folder_of_a_task_is_a_leftover_unless_it_is_new_or_active(
    home: TaskStore, tmp_path: Path
) -> None:
    make(home, TaskState.FINISHED)
    dead, active, new = (home.create() for _ in range(3))
    lock = home.acquire(active.id, new=True)
    assert lock is not None
    for workspace in (dead, active):
        os.utime(workspace.path, (0, 0))
    assert list(leftovers.temp_files(home, tmp_path / "cache", tmp_path / "ledger/l.json")) == [dead.path]
    lock.release(ended=True)
    assert new.path.is_dir()
