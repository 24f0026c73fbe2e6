"""Running a task with replicas: each replica runs as a task, and their results are compared.

The task itself has no container and reserves nothing. Its state is that of the most advanced replica until
all have ended. It finishes if enough replicas gave the same result, and has their outputs then.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from localrun import fs
from localrun.bundle.images.source import ImageReference
from localrun.copying import DiskLimit, copy_file, copy_tree
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

_FACTS = ("exit_code", "signal", "oom", "usage")  # taken from the replica that represents the task


@dataclass(frozen=True, slots=True)
class ReplicaContext:
    """The collaborators that create and run replicas.

    `find` returns the record of a task, `resume` resumes a task whose process died, `kill` stops a task.
    """

    store: TaskStore
    runner: Runner
    workers: Workers
    on_event: Listener
    find: Callable[[str], TaskRecord | None]
    resume: Callable[[str], object]
    kill: Callable[[str], object]


def run(prepared: PreparedTask, context: ReplicaContext) -> None:
    """Run a task with replicas to its end, also if another process started it. Never raises."""
    run = _ReplicatedRun(prepared, context)
    context.runner.run(prepared.task, run.body, run.clean_up)


class _ReplicatedRun:
    """One run of a task with replicas."""

    def __init__(self, prepared: PreparedTask, context: ReplicaContext) -> None:
        self._prepared = prepared
        self._context = context
        self.task = prepared.task
        self._plan = prepared.task.record.run_plan
        self._events: SimpleQueue[tuple[str, Event | None]] = SimpleQueue()
        self._followers: list[threading.Thread] = []
        self._pending: set[str] = set()
        self._resumed: set[str] = set()
        self._last_start = float("-inf")
        self._starting: set[str] = set()  # replicas that were created, and neither run nor wait
        limit = DiskLimit(context.runner.settings.disk_stop)
        self._copy_file = partial(copy_file, limit=limit, check_cancelled=self.task.check_cancelled)

    def body(self) -> Outcome:
        """Start the replicas, wait for them, and compare their results."""
        image = self._prepare()
        ids = self._ids()
        self.task.start_step(StepName.TASK, f"{len(ids)} replicas")
        for number, task_id in enumerate(ids, 1):
            if not self._exists(task_id):
                self._start(number, task_id, image)
            self._pending.add(task_id)
            self._follow(task_id)
        while self._pending:
            self._handle_event()
        self.task.check_cancelled()
        return self._outcome()

    def _prepare(self) -> EngineImage:
        """Prepare the image, once for all replicas."""
        task = self.task
        for state in (TaskState.QUEUING, TaskState.QUEUED, TaskState.PENDING):
            if state not in [entered for entered, _ in task.record.history]:
                task.transition(state)
        return self._context.runner.prepare(task, self._prepared.descriptor, self._prepared.source)

    def _ids(self) -> list[str]:
        """Return the ids of the replicas. They are saved first, so that a kill finds all replicas."""
        task = self.task
        if task.record.replication is None:
            ids = [str(uuid.uuid4()) for _ in range(self._plan.replicas)]
            task.update(replication=Replication(ids=ids, agree=self._plan.agree))
            task.save()
        return self._replication.ids

    @property
    def _replication(self) -> Replication:
        found = self.task.record.replication
        assert found is not None  # since `_ids`
        return found

    # -- create replicas -------------------------------------------------------------------------

    def _exists(self, task_id: str) -> bool:
        """Whether an earlier process created a replica. An incomplete one is removed."""
        tasks = self._context.store
        workspace = tasks.find(task_id)
        if workspace is None:
            return False
        record = workspace.load_or_none()
        if record is None or record.state is TaskState.CREATED:
            tasks.remove(workspace, tasks.acquire(task_id))
            return False
        return True

    def _start(self, number: int, task_id: str, image: EngineImage) -> None:
        while (left := self._pause()) > 0:
            self.task.check_cancelled()
            self._handle_event(left)
        self.task.check_cancelled()
        self._last_start = time.monotonic()
        chosen = variation_for(number, image.environment, self._plan.environment)
        replica, lock = self._create(number, task_id, image, chosen)
        described, source = self._prepared.descriptor, ImageReference(image.id)
        execute = self._context.runner.execute
        try:
            self._context.workers.run(replica, lock, lambda: execute(replica, described, source))
        except BaseException:  # no memory for a thread
            self._context.runner.admission.withdraw(task_id)
            self._context.store.remove(replica.workspace, lock)
            raise
        self._report_start(number, chosen)
        if self.task.is_cancelled:  # requested after the last check
            self._context.kill(task_id)

    def _pause(self) -> float:
        """Return for how many seconds the next replica must not start: clocks of whole seconds differ."""
        return START_INTERVAL + (0.0 if self._starting else self._last_start - time.monotonic())

    def _create(
        self, number: int, task_id: str, image: EngineImage, chosen: Variation
    ) -> tuple[ActiveTask, TaskLock]:
        tasks = self._context.store
        workspace, lock = tasks.create(task_id), None
        try:
            lock = tasks.acquire(task_id, new=True)
            assert lock is not None
            workspace.create_dirs(self._prepared.descriptor.source)
            store.save(workspace.secrets, store.load(self.task.workspace.secrets))
            copy = self._copy_file if self._plan.writable_inputs else link_or_copy
            mirror(self.task.workspace.inputs, workspace.inputs, copy)
            record = self._record(number, workspace, image, chosen)
            replica = ActiveTask(record, workspace, (self._on_replica_event, self._context.on_event))
            replica.create()
            replica.transition(TaskState.PROVISIONED)
            self._context.runner.admission.enqueue(replica.id, replica.record.resources)
        except BaseException:
            tasks.remove(workspace, lock)
            raise
        return replica, lock

    def _record(self, number: int, workspace: Workspace, image: EngineImage, chosen: Variation) -> TaskRecord:
        parent, plan = self.task.record, self._plan
        same = (
            "bundle",
            "name",
            "image_name",
            "resources",
            "network",
            "timeout",
            "assigned_by",
            "regions",
            "crops",
        )
        return TaskRecord(
            **{name: getattr(parent, name) for name in same},
            id=workspace.id,
            folder=str(workspace.path),
            owner=current_process(),
            inputs=rebase_paths(parent.inputs, self.task.workspace.inputs, workspace.inputs),
            replica=Replica(parent_id=parent.id, number=number, varied=chosen.varied),
            plan=plan.replace(
                bundle="",  # uses the image and the descriptor, so that the bundle may change
                image=image.id,
                pull="never",
                hostname=chosen.hostname,
                environment={**chosen.environment, **plan.environment},
                values={},
                replicas=1,
                agree=1,
            ),
        )

    def _report_start(self, number: int, chosen: Variation) -> None:
        varied = ", ".join(f"{name} {value}" for name, value in chosen.varied.items())
        self.task.emit("note", f"replica {number} starts: {varied}", replica=number, varied=chosen.varied)
        if chosen.unvaried and number == 1:
            self.task.update(replication=self._replication.replace(unvaried=chosen.unvaried))
            for name, value in chosen.unvaried.items():
                message = f"{name} is {value!r} in all replicas, as set by the image or the task"
                self.task.emit("note", message)

    # -- wait for replicas -----------------------------------------------------------------------

    def _on_replica_event(self, event: Event) -> None:
        """Queue an event of a replica of this process; called in the replica's thread."""
        state = event.data.get("state") if event.kind == "state" else None
        if state == TaskState.RUNNING:
            self._last_start = time.monotonic()
        if state == TaskState.RUNNING or (state and TaskState(state).is_final) or event.data.get("waiting"):
            self._starting.discard(event.task_id)
        elif state:
            self._starting.add(event.task_id)
        if event.kind in ("state", "note"):
            self._events.put((event.task_id, event))

    def _follow(self, task_id: str) -> None:
        """Queue the end of a replica of any process."""

        def follow() -> None:
            self._context.store.wait_released(task_id)
            self._events.put((task_id, None))

        thread = threading.Thread(target=follow, name=f"replica-{short_id(task_id)}", daemon=True)
        thread.start()
        self._followers.append(thread)

    def _handle_event(self, timeout: float | None = None) -> None:
        """Wait at most `timeout` seconds for an event of a replica, and handle it."""
        try:
            task_id, event = self._events.get(timeout=timeout)
        except Empty:
            return
        record = self._context.find(task_id)
        if event is not None:
            self._advance(event)
        elif record is None or record.state.is_final or task_id in self._resumed:
            self._pending.discard(task_id)
            self._report_end(task_id, record)
        else:
            # its process died; resumed only once: a replica that this process abandons met a bug
            self._resumed.add(task_id)
            self._context.resume(task_id)
            self._follow(task_id)
            if record.state is TaskState.RUNNING:
                self._enter_running()

    def _advance(self, event: Event) -> None:
        if event.data.get("state") == TaskState.RUNNING:
            self._enter_running()
        elif event.data.get("waiting") and self.task.record.state is TaskState.PENDING:
            self.task.update(message=event.message)
            self.task.save()
            self.task.emit("note", f"a replica waits: {event.message}", waiting=True)

    def _enter_running(self) -> None:
        if self.task.record.state is TaskState.PENDING:
            self.task.transition(TaskState.RUNNING, message="")

    def _report_end(self, task_id: str, record: TaskRecord | None) -> None:
        number = self._replication.ids.index(task_id) + 1
        state = "gone" if record is None else str(record.state)
        cause = f" ({record.cause})" if record and record.cause not in (None, state) else ""
        why = f"{cause}: {record.message}" if record and record.cause else ""
        self.task.emit("note", f"replica {number} {state}{why}", replica=number, state_of_replica=state)

    def clean_up(self) -> None:
        """Stop all replicas and threads of the task."""
        replication = self.task.record.replication
        for task_id in replication.ids if replication else ():
            record = self._context.find(task_id)
            if record is not None and not record.state.is_final:
                with suppress(LocalrunError):  # the engine may be away: then they end when it is back
                    self._context.kill(task_id)
                self._context.store.wait_released(task_id)
        for thread in self._followers:
            thread.join()

    # -- compare results -------------------------------------------------------------------------

    def _outcome(self) -> Outcome:
        found = [self._context.find(task_id) for task_id in self._replication.ids]
        records = {number: record for number, record in enumerate(found, 1) if record is not None}
        result = self._compare(records)
        chosen = records.get(result.chosen)
        facts = {name: getattr(chosen, name) for name in _FACTS} if chosen else {}
        if result.error is not None:
            return Outcome.from_error(result.error).with_changes(facts)
        assert chosen is not None
        self.task.start_step(StepName.OUTPUTS, f"taken from replica {result.chosen}")
        outputs = self._adopt(chosen)
        self.task.finish_step(exit_code=0)
        return Outcome(TaskState.FINISHED, {**facts, "outputs": outputs, "message": result.summary})

    def _compare(self, records: dict[int, TaskRecord]) -> ConsensusResult:
        task = self.task
        started = time.perf_counter()
        result = consensus.compare(records, self._replication, list(self._prepared.descriptor.outputs))
        task.record_timing("compare", time.perf_counter() - started)
        task.finish_step(failed=result.error is not None, message=result.summary)
        replication = result.replication
        if self._plan.secret_names:  # a program may have written them to its outputs
            masked = task.masker.mask_json(replication.as_dict())
            replication = Replication.from_json(msgspec.json.encode(masked))
        task.update(replication=replication)
        for warning in result.warnings:
            task.warn(warning)
        return result

    def _adopt(self, chosen: TaskRecord) -> Any:
        """Copy the outputs and the log of a replica to this task, and return its output values.

        They are not hard links: a user may edit the files of the task, and compare the replicas later.
        """
        source, target = self._context.store.open(chosen.id), self.task.workspace
        shutil.rmtree(target.outputs)  # an earlier process may have created it
        target.outputs.mkdir()
        mirror(source.outputs, target.outputs, self._copy_file)
        with fs.wrap_os_errors(target.path):
            for name in ("logs/task.log", "logs/task.streams", "logs/task.times", target.packed_result.name):
                (target.path / name).unlink(missing_ok=True)
                if (source.path / name).exists():
                    self._copy_file(source.path / name, target.path / name)
        return rebase_paths(chosen.outputs, source.path, target.path)


def mirror(source: Path, target: Path, copy: Callable[[Path, Path], None]) -> None:
    """Copy a folder without following links. Raises `LocalrunError` on a full disk."""
    with fs.wrap_os_errors(target):
        copy_tree(source, target, copy=copy)


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file, or copy it if the file system has no links. The file must not change."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        copy_file(source, target)


def rebase_paths(value: Any, old: Path, new: Path) -> Any:
    """Return values with paths below `old` replaced by paths below `new`."""
    if isinstance(value, dict):
        return {name: rebase_paths(item, old, new) for name, item in value.items()}
    if isinstance(value, list):
        return [rebase_paths(item, old, new) for item in value]
    if isinstance(value, str) and value.startswith(f"{old}/"):
        return f"{new}/{value[len(f'{old}/') :]}"
    return value
