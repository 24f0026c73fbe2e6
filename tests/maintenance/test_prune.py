"""Unneeded items are listed and deleted; running, used and foreign ones are kept."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.admission import LedgerEntry
from localrun.app import App
from localrun.batch.store import BatchRecord, BatchStore
from localrun.engines.base import ContainerSpec, Engine
from localrun.engines.fake import FakeEngine
from localrun.engines.labels import LABEL_HOME, LABEL_TASK, container_name
from localrun.errors import EngineUnreachable
from localrun.maintenance.prune import KINDS, PruneItem, PruneOptions, Pruner
from localrun.settings import Settings
from localrun.task.process import current_process
from localrun.task.record import BatchRow, Replica, TaskRecord
from localrun.task.states import TaskState
from localrun.task.workspace import Workspace
from localrun.values.reuse.index import ReuseIndex
from localrun.values.reuse.seal import Seal
from tests.maintenance.test_leftovers import contain, make

DAY = 24 * 3600.0


class Place:
    """An app with a fake engine and tasks that exist only on disk."""

    def __init__(self, folder: Path) -> None:
        self.engine = FakeEngine()
        self.engine.add_image("localrun-test/add:1")
        ledger = folder / "ledger" / "l.json"
        self.app = App(Settings(home=folder / "home", cache=folder / "cache", ledger=ledger), self.engine)
        self.pruning = self.make(lambda: self.engine)

    def make(self, engine: object) -> Pruner:
        return Pruner(
            self.app.store,
            cache=self.app.settings.cache,
            ledger=self.app.ledger,
            engine=engine,  # type: ignore[arg-type]
            remove=self.app.remove,
            sweep=self.app.recovery.end_orphans,
        )

    def ended(self, days: float = 0.0, image: str = "", state: TaskState = TaskState.FINISHED) -> str:
        """Create a task that finished this many days ago; return its id."""
        workspace = make(self.app.store, state)
        moment = time.time() - days * DAY
        self.change(workspace, history=[(TaskState.CREATED, moment - 1), (state, moment)], image=image)
        return workspace.id

    def change(self, workspace: Workspace, **changes: object) -> TaskRecord:
        record = workspace.load().replace(**changes)
        workspace.save(record)
        return record

    def proposed(self, kind: str, **wish: object) -> list[str]:
        found = self.pruning.plan(PruneOptions(**{"kinds": frozenset(KINDS), **wish}))  # type: ignore[arg-type]
        return [item.name for item in found.items if item.kind == kind]

    def prune(self, **wish: object) -> None:
        for item in self.pruning.plan(PruneOptions(**wish)).items:  # type: ignore[arg-type]
            self.pruning.delete(item)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.engine.close()


# -- tasks --------------------------------------------------------------------------------------------


def test_without_a_wish_no_task_goes_and_how_many_stay_is_told(place: Place) -> None:
    place.ended()
    found = place.pruning.plan(PruneOptions())
    assert found.items == ()
    assert "keeping 1 ended task (" in found.notes[0]
    assert "--older-than 7d or --keep 10" in found.notes[0]


def test_old_tasks_go(place: Place) -> None:
    old, _, failed = place.ended(8), place.ended(6), place.ended(9, state=TaskState.FAILED)
    assert place.proposed("task", older_than=7 * DAY) == [old, failed]


def test_a_task_whose_result_was_reused_counts_from_then(place: Place) -> None:
    old, used = place.ended(8), place.ended(8)
    ReuseIndex(place.app.store.path).note_use(used)
    found = place.pruning.plan(PruneOptions(older_than=7 * DAY))
    assert [item.name for item in found.items] == [old]
    assert "keeping 1 task whose results were reused since" in found.notes
    assert place.proposed("task", keep=1) == [old]


def batch_of(place: Place, days: float, *, ended: bool = True) -> BatchRecord:
    """Create a batch that was changed this many days ago."""
    store, moment = BatchStore(place.app.store.path), time.time() - days * DAY
    record = store.create(bundle="b").replace(ended=moment if ended else None)
    store.save(record)
    os.utime(store.folder(record.id) / "batch.json", (moment, moment))
    return record


def test_tasks_that_the_results_of_a_batch_name_are_kept_with_it(place: Place) -> None:
    other, row, reused = place.ended(9), place.ended(9), place.ended(9)
    batch = batch_of(place, days=6)
    place.change(place.app.store.open(row), batch=BatchRow(id=batch.id, row=1))
    ReuseIndex(place.app.store.path).note_use(reused, batch.id)
    os.utime(place.app.store.path / "reuse/uses" / reused, (0, 0))
    found = place.pruning.plan(PruneOptions(older_than=7 * DAY))
    assert [(item.kind, item.name) for item in found.items] == [("task", other)]
    assert f"keeping 2 tasks that the results of batch {batch.short_id} name" in found.notes
    assert set(place.proposed("task", older_than=5 * DAY)) == {other, row, reused}
    assert place.proposed("batch", older_than=5 * DAY) == [batch.id]
    assert place.proposed("batch", older_than=5 * DAY, keep=1) == []
    assert set(place.proposed("task", older_than=5 * DAY, kinds=frozenset({"task"}))) == {other}


def test_an_old_batch_is_deleted_unless_it_runs(place: Place) -> None:
    idle, stopped, running = batch_of(place, 9), batch_of(place, 9, ended=False), batch_of(place, 9)
    store = BatchStore(place.app.store.path)
    lock = store.acquire(running)
    try:
        reasons = {item.name: item.why for item in place.pruning.plan(PruneOptions(older_than=DAY)).items}
        assert {name: why.split()[0] for name, why in reasons.items()} == {
            idle.id: "ended",
            stopped.id: "stopped",
        }
        place.prune(older_than=DAY)
        place.pruning.delete(PruneItem("batch", running.id, ""))  # it was resumed since the proposal
        assert [record.id for record in store.newest_first()] == [running.id]
    finally:
        os.close(lock)


def test_what_is_known_of_results_of_deleted_tasks_goes(place: Place) -> None:
    index, kept = ReuseIndex(place.app.store.path), place.ended()
    for fingerprint, task in (("a" * 64, kept), ("b" * 64, "gone")):
        index.add(fingerprint, task, Seal({}))
        index.note_use(task)
    (item,) = place.pruning.plan(PruneOptions()).items
    assert (item.kind, item.why) == ("file", "2 records of results of deleted tasks")
    place.prune()
    assert place.pruning.plan(PruneOptions()).items == ()
    assert (index.find("a" * 64) is not None, index.find("b" * 64)) == (True, None)


def test_all_but_the_newest_go(place: Place) -> None:
    ids = [place.ended(days) for days in (3, 1, 2)]
    assert place.proposed("task", keep=1) == [ids[2], ids[0]]
    assert len(place.proposed("task", keep=0)) == 3
    assert place.proposed("task", keep=9) == []


def test_of_old_tasks_the_newest_stay_all_the_same(place: Place) -> None:
    ids = [place.ended(days) for days in (10, 20, 30)]
    assert place.proposed("task", keep=2, older_than=5 * DAY) == [ids[2]]
    assert place.proposed("task", keep=0, older_than=25 * DAY) == [ids[2]]


def test_a_task_that_has_not_ended_never_goes(place: Place) -> None:
    running = make(place.app.store, owner=current_process())
    waiting = make(place.app.store, detached=True)
    place.prune(keep=0)
    assert running.path.is_dir()
    assert waiting.path.is_dir()


def test_the_size_of_a_task_is_what_it_takes(place: Place) -> None:
    task = place.ended()
    (place.app.store.tasks / task / "outputs" / "big").write_bytes(bytes(100_000))
    (item,) = place.pruning.plan(PruneOptions(keep=0)).items
    assert 100_000 <= item.size < 200_000


def test_what_is_told_is_deleted(place: Place) -> None:
    task = place.ended()
    place.prune(keep=0)
    assert not (place.app.store.tasks / task).exists()


def test_looking_changes_nothing(place: Place, tmp_path: Path) -> None:
    place.ended(9)
    make(place.app.store)
    place.engine.add_image("localrun/image:aa")
    place.app.store.note_image("localrun/image:aa")
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    assert len(place.pruning.plan(PruneOptions(keep=0, kinds=frozenset(KINDS))).items) == 3
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


# -- images -------------------------------------------------------------------------------------------


def test_images_that_a_task_was_made_of_stay_as_long_as_it_does(place: Place) -> None:
    needed, other = (place.engine.add_image(f"localrun/image:{name}") for name in ("aa", "bb"))
    place.ended(image=needed.id)
    place.app.store.note_image("localrun/image:bb")  # by a task that was deleted
    assert place.proposed("image") == ["localrun/image:bb"]
    assert place.proposed("image", keep=0) == ["localrun/image:aa", "localrun/image:bb"]
    place.prune(kinds=frozenset({"image"}))
    assert place.engine.find_image(needed.id) is not None
    assert place.engine.find_image(other.id) is None


def test_the_replicas_of_a_task_go_with_it_and_keep_no_image(place: Place) -> None:
    made = place.engine.add_image("localrun/image:aa")
    parent, replica = place.ended(2), place.ended(2, image=made.id)
    place.change(place.app.store.open(replica), replica=Replica(parent_id=parent, number=1))
    assert place.proposed("task", older_than=DAY) == [parent]
    assert place.proposed("image", older_than=DAY) == ["localrun/image:aa"]
    assert place.proposed("image") == []


def test_images_that_are_not_of_localrun_never_go(place: Place) -> None:
    place.engine.add_image("mine:1")
    place.engine.add_image("localrun-base/python:latest")
    assert place.proposed("image", keep=0) == []


def test_an_image_with_a_name_of_the_users_too_only_loses_ours(place: Place) -> None:
    made = place.engine.add_image("localrun/image:aa")
    place.app.store.note_image("localrun/image:aa")
    place.engine.tag_image(made.id, "mine:1")
    place.prune(kinds=frozenset({"image"}))
    found = place.engine.find_image(made.id)
    assert found is not None
    assert found.tags == ("mine:1",)


def test_images_of_builds_that_were_broken_off_go(place: Place) -> None:
    made = place.engine.add_image("localrun/build:aa-12345678")
    place.ended(image=made.id)
    assert place.proposed("image") == ["localrun/build:aa-12345678"]
    place.prune(kinds=frozenset({"image"}))
    assert place.engine.find_image(made.id) is None


def test_while_others_run_tasks_all_images_stay(place: Place) -> None:
    place.engine.add_image("localrun/image:aa")
    path = place.app.ledger
    path.parent.mkdir()
    entry = LedgerEntry(
        task_id="t",
        ticket=1,
        admitted=True,
        owner=current_process(),
        since=time.time(),
        cpus=1,
        memory=1,
        gpus=0,
    )
    path.write_bytes(b'{"t":' + entry.to_json() + b"}")
    found = place.pruning.plan(PruneOptions())
    assert found.items == ()
    assert "keeping images: 1 active task in other folders" in found.notes[0]


# -- leftovers -----------------------------------------------------------------------------


def test_containers_of_no_use_go_and_the_others_stay(place: Place, tmp_path: Path) -> None:
    home = place.app.store
    dead, ended, alive = make(home), place.ended(), make(home, owner=current_process())
    handles = {name: contain(place.engine, task_id, home.path) for name, task_id in
               {"dead": dead.id, "ended": ended, "gone": "gone", "alive": alive.id}.items()}  # fmt: skip
    labels = {LABEL_TASK: "x", LABEL_HOME: str(tmp_path / "of-nobody")}
    name = container_name("x")
    foreign = place.engine.create(ContainerSpec("localrun-test/add:1", name=name, labels=labels))
    assert set(place.proposed("container")) == {handles["dead"], handles["ended"]}
    carried = home.acquire(alive.id)
    assert carried is not None
    place.prune()
    carried.release(ended=False)
    left = {found.handle for found in place.engine.find({LABEL_TASK: ""})}
    assert left == {handles["alive"], handles["gone"], foreign}
    assert dead.load().cause == "RUNNER_TERMINATED"


def test_a_container_without_a_record_is_listed_and_removed_only_for_all_folders(place: Place) -> None:
    handle = contain(place.engine, "gone", place.app.store.path)
    place.app.store.path.mkdir()
    plan = place.pruning.plan(PruneOptions())
    assert plan.items == ()
    assert [(item.name, item.why) for item in plan.skipped] == [(handle, "its task was deleted")]
    place.prune(all_folders=True)
    assert place.engine.find({LABEL_TASK: ""}) == []


def test_a_container_that_inherited_the_labels_of_a_task_is_never_touched(place: Place) -> None:
    # Given a container of the user, made of an image that was committed from a task's container
    ended = place.ended()
    labels = {LABEL_TASK: ended, LABEL_HOME: str(place.app.store.path)}
    handle = place.engine.create(ContainerSpec("localrun-test/add:1", name="mine", labels=labels))

    # When everything is pruned and orphans are ended
    place.prune(all_folders=True, keep=0)
    place.app.recovery.end_orphans()

    # Then the container is still there
    assert place.engine.container(handle).spec.name == "mine"


def test_images_of_other_folders_are_listed_and_deleted_only_for_all_folders(place: Place) -> None:
    other = place.engine.add_image("localrun/build:aa")
    plan = place.pruning.plan(PruneOptions())
    assert plan.items == ()
    assert [item.name for item in plan.skipped] == ["localrun/build:aa"]
    place.prune(all_folders=True)
    assert place.engine.find_image(other.id) is None


def test_the_note_of_an_image_goes_with_the_image(place: Place) -> None:
    place.engine.add_image("localrun/image:aa")
    place.app.store.path.mkdir()
    place.app.store.note_image("localrun/image:aa")
    place.prune()
    assert place.app.store.noted_images() == set()


def test_a_task_whose_process_died_is_ended_and_its_files_stay(place: Place) -> None:
    dead = make(place.app.store)
    assert place.proposed("dead") == [dead.id]
    place.prune()
    assert dead.load().state == "FAILED"


def test_half_written_files_and_claims_of_nothing_go(place: Place) -> None:
    task = place.app.store.open(place.ended())
    draft = task.path / "task.json.99999999.tmp"
    draft.write_text("x")
    os.utime(draft, (1, 1))
    claim = place.app.store.path / "active" / "gone"
    claim.touch()
    assert place.proposed("file") == [str(draft), str(claim)]
    place.prune()
    assert not draft.exists()
    assert not claim.exists()
    assert task.load().state == "FINISHED"


def test_a_claim_that_is_of_use_again_stays(place: Place) -> None:
    workspace = make(place.app.store, owner=current_process())
    claim = place.app.store.path / "active" / workspace.id
    place.pruning.delete(PruneItem("file", str(claim), ""))
    assert claim.exists()


def test_files_of_clients_of_a_cluster_go_with_the_cache(place: Place) -> None:
    home = place.app.settings.home
    idle, busy = home / "content", home / "nodes" / "busy" / "content"
    for folder in (idle, busy):
        (folder / "ab").mkdir(parents=True)
        (folder / "ab" / "file").write_bytes(bytes(5000))
    (home / "nodes" / "busy" / "active").mkdir()
    (home / "nodes" / "busy" / "active" / "task").touch()
    (item,) = place.pruning.plan(PruneOptions(kinds=frozenset({"cache"}))).items
    assert (item.name, item.size >= 5000) == (str(idle), True)
    place.pruning.delete(item)
    assert (idle.exists(), busy.exists()) == (False, True)


def test_the_cache_goes_on_request_and_nothing_beside_it(place: Place, tmp_path: Path) -> None:
    for name in ("bundles", "folders", "precious"):
        (tmp_path / "cache" / name).mkdir(parents=True)
        (tmp_path / "cache" / name / "x").write_text("x")
    place.prune()
    assert (tmp_path / "cache/bundles/x").exists()
    place.prune(kinds=frozenset({"cache"}))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["precious"]


def test_without_an_engine_the_rest_is_done_and_that_is_told(place: Place) -> None:
    def away() -> Engine:
        raise EngineUnreachable("no container engine answers")

    task = place.ended()
    found = place.make(away).plan(PruneOptions(keep=0))
    assert [item.name for item in found.items] == [task]
    assert found.notes == ("cannot check containers and images: no container engine answers",)
