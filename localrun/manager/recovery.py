"""Tasks whose process died: resume them, or end them and remove their containers.

Queued tasks are queued again in their order. A container that was started is followed to its end. A task
whose container is gone fails, or runs again if it has retries left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from localrun import descriptor, fs
from localrun.bundle.images.source import ImageReference
from localrun.engines.base import ContainerSummary, Engine
from localrun.engines.labels import LABEL_HOME, LABEL_TASK, is_of_other_ledger
from localrun.errors import (
    Cause,
    ContainerGone,
    DescriptorError,
    EngineUnreachable,
    LocalrunError,
    OtherEngine,
    TaskNotFound,
)
from localrun.manager.provisioning import received_values
from localrun.manager.submission import PreparedTask, Submitter
from localrun.manager.workers import Workers
from localrun.runner.runner import Runner
from localrun.runner.usage import aggregate, read_samples
from localrun.task.active import ActiveTask
from localrun.task.causes import explain
from localrun.task.events import Listener
from localrun.task.fate import Fate, fate
from localrun.task.lock import TaskLock
from localrun.task.outcome import Outcome
from localrun.task.process import current_process
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace


class Resumer:
    """Continues the tasks of a folder that no living process owns."""

    def __init__(
        self,
        *,
        store: TaskStore,
        submitter: Submitter,
        workers: Workers,
        runner: Callable[[], Runner],
        accept: Callable[[PreparedTask], None],
        on_event: Listener,
    ) -> None:
        self._store = store
        self._submitter = submitter
        self._workers = workers
        self._runner = runner
        self._accept = accept
        self._on_event = on_event

    def resume_orphans(self, active: Iterable[TaskRecord]) -> list[TaskRecord]:
        """Resume tasks in the given order, and return those that were resumed."""
        resumed = []
        for record in active:
            with suppress(EngineUnreachable):  # the task stays as it is until the engine is back
                if self.resume(record):
                    resumed.append(record)
        return resumed

    def resume(self, record: TaskRecord, *, parent_alive: bool = False) -> bool:
        """Resume a task whose process died; False if another process owns it or `fate` forbids it.

        Raises `EngineUnreachable`, or `OtherEngine` if it belongs to another engine, and leaves the task as
        it is then.
        """
        lock = self._store.acquire(record.id)
        if lock is None:
            return False
        workspace = self._store.open(record.id)
        try:  # the record may have changed before the lock was acquired
            task = ActiveTask(workspace.load(), workspace, (self._on_event,))
        except TaskNotFound:
            lock.release(ended=False)
            raise
        decided = fate(task.record, owner_alive=False, parent_alive=parent_alive)
        if decided not in (Fate.AWAIT_INPUTS, Fate.AWAIT_START, Fate.RESUME):
            lock.release(ended=False)
            if decided is Fate.MANUAL:
                self._workers.registry.add(task)
            return decided is Fate.MANUAL
        try:
            self._resume(task, lock)
        except (EngineUnreachable, RuntimeError, MemoryError):  # the engine is away, or no thread can start
            lock.release(ended=False)
            raise
        except LocalrunError as error:
            outcome = Outcome.from_error(error)
            usage = aggregate(read_samples(task.workspace.usage))
            self._workers.end(task, lock, outcome.state, **outcome.changes, usage=usage)
        return True

    def _resume(self, task: ActiveTask, lock: TaskLock) -> None:
        if task.record.run_plan.held:  # it has no container, so this works without an engine
            task.update(owner=current_process())
            task.save()
            self._accept(self._submitter.reload(task, lock))
            return
        found = self._container(task)
        if found is not None and found.started and task.record.final_state is None:
            handle, described = found.handle, descriptor.read(fs.read_regular(task.workspace.descriptor))
            task.update(container=handle)
            runner, source = self._runner(), lambda: self._submitter.reload(task, lock).source
            self._workers.run(task, lock, lambda: runner.resume(task, described, handle, source))
            return
        task.update(owner=current_process())
        if found is not None:
            self._runner().engine.remove(found.handle)
        if task.record.final_state is not None:
            self._workers.end(task, lock, task.record.final_state)
            return
        if task.record.replication is not None and task.record.image:
            described = descriptor.read(fs.read_regular(task.workspace.descriptor))
            task.update(steps=[])
            self._accept(PreparedTask(task, described, ImageReference(task.record.image), lock))
            return
        if task.record.state is TaskState.RUNNING and not task.use_retry():
            message = "the localrun process of the task died, and its container is gone"
            remedy = f"run it again: `localrun rerun {task.short_id}`"
            raise LocalrunError(message, cause=Cause.RUNNER_TERMINATED, remedy=remedy)
        task.save()
        prepared = self._submitter.reload(task, lock)
        if task.record.state is TaskState.CREATED and not prepared.missing:
            self._submitter.provision(task, prepared.descriptor, received_values(task))
        task.start_over()
        self._accept(prepared)

    def _container(self, task: ActiveTask) -> ContainerSummary | None:
        engine, wanted = self._runner().engine, task.record.engine
        found = _with_start(engine, next(iter(engine.find({LABEL_TASK: task.id})), None))
        if found is None and wanted not in ("", engine.info().address):
            raise OtherEngine(
                f"task {task.short_id} belongs to the engine at {wanted}, not to {engine.info().address}",
                remedy=f"continue it there: `DOCKER_HOST={wanted} localrun wait {task.short_id}`",
                address=wanted,
            )
        return found


def _with_start(engine: Engine, found: ContainerSummary | None) -> ContainerSummary | None:
    """Return a container of a dead process with a reliable `started`.

    The process may have died while the engine was starting the container, and the start continues without it.
    The engine measures a container's size only after its start.
    """
    if found is None or found.started:
        return found
    with suppress(ContainerGone):
        engine.size(found.handle)
    return next(iter(engine.find({LABEL_TASK: found.labels[LABEL_TASK]})), None)


class Recovery:
    """Ends the tasks whose process died, and removes their containers.

    Tasks that another process may continue are left alone; see `task/fate.py`. Tasks of other folders of
    the same user are ended too. localrun may never run there again, and their containers would stay. Those
    of processes with another reservation file are left to such processes. A container that has ended in the
    meantime decides the outcome of its task. `of_engine` returns the recovery of the engine that a record
    names, or this one.
    """

    def __init__(
        self, store: TaskStore, runner: Runner, of_engine: Callable[[TaskRecord], Recovery] | None = None
    ) -> None:
        self._store = store
        self._runner = runner
        self._engine = runner.engine
        self._of_engine = of_engine or (lambda _: self)

    def end_orphans(self) -> list[TaskRecord]:
        """End every task whose process died, and return their records."""
        by_task = {found.labels[LABEL_TASK]: found for found in self._engine.find({LABEL_TASK: ""})}
        active = self._store.active_ids()
        ended = [self._end(self._store, task_id, by_task.pop(task_id, None)) for task_id in active]
        ended += [self._end_elsewhere(task_id, found) for task_id, found in by_task.items()]
        return [record for record in ended if record is not None]

    def end(self, task_id: str) -> TaskRecord | None:
        """End a task and its replicas if its process died; None if it is alive or the task has ended."""
        found = self._engine.find({LABEL_TASK: task_id})
        record = self._end(self._store, task_id, found[0] if found else None)
        if record is not None and record.replication is not None:
            for replica in record.replication.ids:
                self.end(replica)
        return record

    def end_stopped(self, task_id: str) -> TaskRecord:
        """End a task whose process is suspended and keeps its lock. That process adopts the end later."""
        workspace = self._store.open(task_id)
        task = ActiveTask(workspace.load(), workspace)
        if not task.record.state.is_final:
            task.take()
            owner = task.record.owner
            name = f"process {owner.pid}" if owner else "the process"
            task.warn(f"{name}, which owned the task, was suspended; another process ended the task")
            self._conclude_anywhere(task, next(iter(self._engine.find({LABEL_TASK: task_id})), None))
            self._store.withdraw(task_id)
        return task.record

    def _end_elsewhere(self, task_id: str, found: ContainerSummary) -> TaskRecord | None:
        folder = Path(found.labels.get(LABEL_HOME, ""))
        store = TaskStore(folder)
        is_other = is_of_other_ledger(found.labels, self._runner.admission.ledger)
        if not folder.is_absolute() or (is_other and store.path != self._store.path):
            return None
        if store.is_own and task_id in store.active_ids():
            return self._end(store, task_id, found)
        if store.is_finished(task_id):  # the engine was away when it ended
            self._engine.remove(found.handle)
        return None

    def _end(self, store: TaskStore, task_id: str, found: ContainerSummary | None) -> TaskRecord | None:
        lock = store.acquire(task_id)
        if lock is None:
            return None
        try:
            return self._end_locked(store.open(task_id), lock, found)
        finally:
            lock.release(ended=False)

    def _end_locked(
        self, workspace: Workspace, lock: TaskLock, found: ContainerSummary | None
    ) -> TaskRecord | None:
        try:
            task = ActiveTask(workspace.load(), workspace)
        except TaskNotFound:  # its process died before it wrote the record: the folder holds nothing else
            workspace.remove()
            lock.release(ended=True)
            return None
        if fate(task.record, owner_alive=False) not in (Fate.END, Fate.ENDED):
            return None
        was_saved = task.record.state.is_final
        self._conclude_anywhere(task, found)
        lock.release(ended=was_saved or task.is_saved)  # else the next process ends it again
        return task.record

    def _conclude_anywhere(self, task: ActiveTask, found: ContainerSummary | None) -> None:
        """End a task on its engine, which may be another one if it has no container here."""
        place = self if found is not None else self._of_engine(task.record)
        if place is not self:
            found = next(iter(place._engine.find({LABEL_TASK: task.id})), None)
        place._conclude(task, found)

    def _conclude(self, task: ActiveTask, found: ContainerSummary | None) -> None:
        """End a task, and remove its container."""
        if not task.record.state.is_final and task.record.final_state is None:
            found = _with_start(self._engine, found)
            if found is not None and found.started:
                self._conclude_container(task, found)
                return
        if found is not None:
            self._engine.remove(found.handle)
        if not task.record.state.is_final:
            if task.record.usage is None:
                task.update(usage=aggregate(read_samples(task.workspace.usage)))
            _end_state(task)

    def _conclude_container(self, task: ActiveTask, found: ContainerSummary) -> None:
        try:
            described = descriptor.read(fs.read_regular(task.workspace.descriptor))
        except (OSError, DescriptorError) as error:
            task.warn(f"cannot read the task's outputs: {error}")
            self._engine.stop(found.handle, self._runner.settings.grace)
            exit_ = self._engine.wait(found.handle)
            self._engine.remove(found.handle)
            task.update(exit_code=exit_.code, oom="yes" if exit_.oom_killed else "no")
            _end_state(task)
            return
        self._runner.conclude(task, described, found.handle)


def _end_state(task: ActiveTask) -> None:
    if task.record.final_state is not None:
        task.transition(task.record.final_state)
        return
    if task.is_cancelled:
        task.transition(TaskState.KILLED, cause=str(Cause.KILLED), message="the task was stopped on request")
        return
    owner, cause = task.record.owner, Cause.RUNNER_TERMINATED
    process = f"process {owner.pid}" if owner else "process"
    message = f"the localrun {process} of the task died before the task ended"
    remedy = explain(cause).remedy_for(task.id)
    task.transition(TaskState.FAILED, cause=str(cause), message=message, remedy=remedy)
