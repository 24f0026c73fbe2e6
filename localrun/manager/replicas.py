"""A task with replicas, from PROVISIONED to its end: each runs as a task of its own; then they are compared.

The task itself has no container and reserves nothing. Its state is that of the furthest replica, until all
have ended; it finishes when enough of them gave the same, and has their outputs then.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from localrun import fs
from localrun.bundle.images.source import ImageReference
from localrun.engines.base import EngineImage
from localrun.errors import LocalrunError
from localrun.manager import consensus
from localrun.manager.consensus import ConsensusResult
from localrun.manager.submission import PreparedTask
from localrun.manager.variation import START_INTERVAL, Variation, variation_for
from localrun.manager.workers import Workers
from localrun.masking import store
from localrun.runner.runner import Runner
from localrun.task.active import ActiveTask
from localrun.task.events import Event, Listener
from localrun.task.lock import TaskLock
from localrun.task.outcome import Outcome
from localrun.task.process import current_process
from localrun.task.record import Replica, Replication, TaskRecord, short_id
from localrun.task.states import StepName, TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace

_FACTS = ("exit_code", "signal", "oom", "usage")  # of the replica whose result counts, or that failed first


@dataclass(frozen=True, slots=True)
class ReplicaContext:
    """What the replicas of a task are made and carried with.

    `find` is the record of a task, `take_over` carries one on here whose process died, `kill` stops one.
    """

    store: TaskStore
    runner: Runner
    workers: Workers
    on_event: Listener
    find: Callable[[str], TaskRecord | None]
    resume: Callable[[str], object]
    kill: Callable[[str], object]


def run(ready: PreparedTask, helpers: ReplicaContext) -> None:
    """Carry a task with replicas to its end, also one that another process began. Never raises."""
    run = _Replication(ready, helpers)
    helpers.runner.run(ready.task, run.through, run.let_go)


class _Replication:
    """One task, and what is known of its replicas."""

    def __init__(self, ready: PreparedTask, helpers: ReplicaContext) -> None:
        self._ready = ready
        self._helpers = helpers
        self.task = ready.task
        self._plan = ready.task.record.run_plan
        self._news: SimpleQueue[tuple[str, Event | None]] = SimpleQueue()
        self._followers: list[threading.Thread] = []
        self._pending: set[str] = set()
        self._taken: set[str] = set()
        self._begun = float("-inf")

    def through(self) -> Outcome:
        """All of it, in order."""
        image = self._prepare()
        ids = self._ids()
        self.task.start_step(StepName.TASK, f"{len(ids)} replicas")
        for number, task_id in enumerate(ids, 1):
            if not self._is_there(task_id):
                self._begin(number, task_id, image)
            self._pending.add(task_id)
            self._follow(task_id)
        while self._pending:
            self._listen()
        self.task.check_cancelled()
        return self._ending()

    def _prepare(self) -> EngineImage:
        """The image, once for all replicas."""
        task = self.task
        for state in (TaskState.QUEUING, TaskState.QUEUED, TaskState.PENDING):
            if state not in [entered for entered, _ in task.record.history]:
                task.transition(state)
        return self._helpers.runner.prepare(task, self._ready.descriptor, self._ready.source)

    def _ids(self) -> list[str]:
        """Their ids, written down before the first is made: whoever kills the task finds all."""
        task = self.task
        if task.record.replication is None:
            ids = [str(uuid.uuid4()) for _ in range(self._plan.replicas)]
            task.update(replication=Replication(ids=ids, agree=self._plan.agree))
            task.save()
        assert task.record.replication is not None
        return task.record.replication.ids

    # -- making them -----------------------------------------------------------------------------

    def _is_there(self, task_id: str) -> bool:
        """Whether an earlier process began a replica; what it left half made is removed."""
        home = self._helpers.store
        place = home.find(task_id)
        record = place.load_or_none() if place is not None else None
        if place is not None and (record is None or record.state is TaskState.CREATED):
            home.remove(place, home.acquire(task_id))
            return False
        return place is not None

    def _begin(self, number: int, task_id: str, image: EngineImage) -> None:
        while (left := self._begun + START_INTERVAL - time.monotonic()) > 0:
            self.task.check_cancelled()
            self._listen(left)
        self.task.check_cancelled()
        self._begun = time.monotonic()
        chosen = variation_for(number, image.environment, self._plan.environment)
        replica, claim = self._make(number, task_id, image, chosen)
        runner, source = self._helpers.runner, ImageReference(image.id)
        self._helpers.workers.run(
            replica, claim, lambda: runner.execute(replica, self._ready.descriptor, source)
        )
        self._tell_of(number, chosen)
        if self.task.is_cancelled:  # asked for between the last look and the beginning
            self._helpers.kill(task_id)

    def _make(
        self, number: int, task_id: str, image: EngineImage, chosen: Variation
    ) -> tuple[ActiveTask, TaskLock]:
        home = self._helpers.store
        workspace, claim = home.create(task_id), None
        try:
            claim = home.acquire(task_id, new=True)
            assert claim is not None
            workspace.create_dirs(self._ready.descriptor.source)
            store.save(workspace.secrets, store.load(self.task.workspace.secrets))
            put = copy_file if self._plan.writable_inputs else link_or_copy
            mirror(self.task.workspace.inputs, workspace.inputs, put)
            record = self._record(number, workspace, image, chosen)
            replica = ActiveTask(record, workspace, (self._hear, self._helpers.on_event))
            replica.create()
            replica.transition(TaskState.PROVISIONED)
            self._helpers.runner.admission.enqueue(replica.id, replica.record.resources)
        except BaseException:
            home.remove(workspace, claim)
            raise
        return replica, claim

    def _record(self, number: int, workspace: Workspace, image: EngineImage, chosen: Variation) -> TaskRecord:
        whole, plan = self.task.record, self._plan
        same = ("bundle", "name", "image_name", "resources", "network", "timeout", "assigned_by")
        return TaskRecord(
            **{name: getattr(whole, name) for name in same},
            id=workspace.id,
            folder=str(workspace.path),
            owner=current_process(),
            inputs=rebase_paths(whole.inputs, self.task.workspace.inputs, workspace.inputs),
            replica=Replica(parent_id=whole.id, number=number, varied=chosen.varied),
            plan=plan.replace(
                bundle="",  # the image and the descriptor of the moment serve, whatever becomes of the bundle
                image=image.id,
                pull="never",
                hostname=chosen.hostname,
                environment={**chosen.environment, **plan.environment},
                values={},
                replicas=1,
                agree=1,
            ),
        )

    def _tell_of(self, number: int, chosen: Variation) -> None:
        varied = ", ".join(f"{name} {value}" for name, value in chosen.varied.items())
        self.task.emit("note", f"replica {number} begins: {varied}", replica=number, varied=chosen.varied)
        if chosen.unvaried and number == 1:
            record = self.task.record.replication
            assert record is not None
            self.task.update(replication=record.replace(unvaried=chosen.unvaried))
            for name, value in chosen.unvaried.items():
                self.task.emit("note", f"{name} is {value!r} in all replicas: the image or the task sets it")

    # -- waiting for them ------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        """The listener of the replicas that begin here; called in their threads."""
        if event.kind in ("state", "note"):
            self._news.put((event.task_id, event))

    def _follow(self, task_id: str) -> None:
        """Have the end of a replica told, whichever process carries it."""

        def follow() -> None:
            self._helpers.store.wait_released(task_id)
            self._news.put((task_id, None))

        thread = threading.Thread(target=follow, name=f"replica-{short_id(task_id)}", daemon=True)
        self._followers.append(thread)
        thread.start()

    def _listen(self, timeout: float | None = None) -> None:
        """Block until something happens to a replica, for at most `timeout` seconds, and do what follows."""
        try:
            task_id, event = self._news.get(timeout=timeout)
        except Empty:
            return
        record = self._helpers.find(task_id)
        if event is not None:
            self._advance(event)
        elif record is None or record.state.is_final or task_id in self._taken:
            self._pending.discard(task_id)
            self._tell_end(task_id, record)
        else:
            self._take_over(task_id, record)

    def _take_over(self, task_id: str, record: TaskRecord) -> None:
        """Carry on a replica whose process died: once, since one that is let go of here met a bug of ours."""
        self._taken.add(task_id)
        self._helpers.resume(task_id)
        self._follow(task_id)
        if record.state is TaskState.RUNNING:
            self._run()

    def _advance(self, event: Event) -> None:
        if event.data.get("state") == TaskState.RUNNING:
            self._run()
        elif event.data.get("waiting") and self.task.record.state is TaskState.PENDING:
            self.task.update(message=event.message)
            self.task.save()
            self.task.emit("note", f"a replica waits: {event.message}", waiting=True)

    def _run(self) -> None:
        if self.task.record.state is TaskState.PENDING:
            self.task.transition(TaskState.RUNNING, message="")

    def _tell_end(self, task_id: str, record: TaskRecord | None) -> None:
        assert self.task.record.replication is not None
        number = self.task.record.replication.ids.index(task_id) + 1
        state = "gone" if record is None else str(record.state)
        cause = f" ({record.cause})" if record and record.cause not in (None, state) else ""
        why = f"{cause}: {record.message}" if record and record.cause else ""
        self.task.emit("note", f"replica {number} {state}{why}", replica=number, state_of_replica=state)

    def let_go(self) -> None:
        """Whatever happened, no replica outlives the task, and no thread of ours either."""
        replication = self.task.record.replication
        for task_id in replication.ids if replication else ():
            record = self._helpers.find(task_id)
            if record is not None and not record.state.is_final:
                with suppress(LocalrunError):  # the engine may be away: then they end by themselves
                    self._helpers.kill(task_id)
                self._helpers.store.wait_released(task_id)
        for thread in self._followers:
            thread.join()

    # -- comparing them --------------------------------------------------------------------------

    def _ending(self) -> Outcome:
        task = self.task
        replication = task.record.replication
        assert replication is not None
        found = [self._helpers.find(task_id) for task_id in replication.ids]
        records = {number: record for number, record in enumerate(found, 1) if record is not None}
        outcome = self._compare(records, replication)
        chosen = records.get(outcome.chosen)
        facts = {name: getattr(chosen, name) for name in _FACTS} if chosen else {}
        if outcome.error is not None:
            return Outcome.from_error(outcome.error).with_changes(facts)
        assert chosen is not None
        task.start_step(StepName.OUTPUTS, f"taken from replica {outcome.chosen}")
        outputs = self._adopt(chosen)
        task.finish_step(exit_code=0)
        return Outcome(TaskState.FINISHED, {**facts, "outputs": outputs, "message": outcome.summary})

    def _compare(self, records: dict[int, TaskRecord], replication: Replication) -> ConsensusResult:
        task = self.task
        begun = time.perf_counter()
        outcome = consensus.compare(records, replication, list(self._ready.descriptor.outputs))
        task.record_timing("compare", time.perf_counter() - begun)
        task.finish_step(failed=outcome.error is not None, message=outcome.summary)
        task.update(replication=self._without_secrets(outcome.replication))
        for warning in outcome.warnings:
            task.warn(warning)
        return outcome

    def _without_secrets(self, replication: Replication) -> Replication:
        """What differs is shown, and a program may have written a secret there."""
        if not self._plan.secret_names:
            return replication
        return Replication.from_json(msgspec.json.encode(self.task.masker.mask_json(replication.as_dict())))

    def _adopt(self, chosen: TaskRecord) -> Any:
        """Take the outputs and the log of a replica; the outputs as they are here."""
        theirs, ours = self._helpers.store.open(chosen.id), self.task.workspace
        shutil.rmtree(ours.outputs)  # an earlier process may have come this far
        ours.outputs.mkdir()
        mirror(theirs.outputs, ours.outputs, link_or_copy)
        for name in ("logs/task.log", "logs/task.streams", ours.packed_result.name):
            (ours.path / name).unlink(missing_ok=True)
            if (theirs.path / name).exists():
                link_or_copy(theirs.path / name, ours.path / name)
        return rebase_paths(chosen.outputs, theirs.path, ours.path)


def kill_in_parallel(kill: Callable[[str], object], ids: Sequence[str]) -> None:
    """Kill all replicas side by side: each may take as long as the grace."""
    threads = [
        threading.Thread(target=kill, args=(task_id,), name=f"kill-{short_id(task_id)}") for task_id in ids
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def mirror(source: Path, target: Path, put: Callable[[Path, Path], None]) -> None:
    """Make in one folder what is in another; no link is followed. Raises `LocalrunError` on a full disk."""
    with fs.wrap_os_errors(target):
        for folder, folders, files in os.walk(source):
            here, there = Path(folder), target / Path(folder).relative_to(source)
            links = [name for name in folders if (here / name).is_symlink()]
            for name in [*files, *links]:
                put(here / name, there / name)
            for name in set(folders) - set(links):
                (there / name).mkdir()


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file that nobody changes any more; a copy, where the file system has none."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        copy_file(source, target)


def copy_file(source: Path, target: Path) -> None:
    """A copy of a file, or of a link as such."""
    shutil.copyfile(source, target, follow_symlinks=False)


def rebase_paths(value: Any, old: Path, new: Path) -> Any:
    """Values with the paths below one folder put below another."""
    if isinstance(value, dict):
        return {name: rebase_paths(item, old, new) for name, item in value.items()}
    if isinstance(value, list):
        return [rebase_paths(item, old, new) for item in value]
    if isinstance(value, str) and value.startswith(f"{old}/"):
        return f"{new}/{value[len(f'{old}/') :]}"
    return value
