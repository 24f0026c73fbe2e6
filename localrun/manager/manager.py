"""Which task, when, on which thread: the active and the completed tasks of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from localrun.engines.labels import LABEL_TASK
from localrun.errors import Cause, ShuttingDown, TaskExists, TaskNotFound, UsageError
from localrun.manager.pending_inputs import PendingInputs
from localrun.manager.registry import TaskRegistry
from localrun.manager.request import Request, from_payload, is_free_form, redact_secrets
from localrun.manager.submission import DeferSignals, PreparedTask, Submitter
from localrun.manager.takeover import Takeover
from localrun.manager.workers import Workers
from localrun.runner.runner import Runner
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.events import Event, Listener
from localrun.task.lock import TaskLock
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore

OnExit = Literal["leave", "kill", "wait"]


class TaskManager:
    """Submits tasks, runs each in a thread of its own, and knows where each of them is.

    `runner` makes the runner when the first task needs it, so that a wrong bundle is told without an
    engine. Thread-safe.
    """

    def __init__(self, home: TaskStore, settings: Settings, runner: Callable[[], Runner]) -> None:
        self._home = home
        self._settings = settings
        self._runner = runner
        self._intake = Submitter(home, settings)
        self._list = TaskRegistry(settings.keep_completed)
        self._crew = Workers(self._list)
        self._waiting = PendingInputs(self._start, self.kill)
        self._takeover = Takeover(
            home=home,
            intake=self._intake,
            tasks=self._list,
            crew=self._crew,
            runner=runner,
            accept=self._accept,
            tell=self._tell,
        )
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._closed = False

    # -- making tasks ----------------------------------------------------------------------------

    def submit(
        self,
        request: Request,
        *listeners: Listener,
        defer_signals: DeferSignals = nullcontext,
        task_id: str | None = None,
        start: bool = True,
    ) -> ActiveTask:
        """Check everything, write the inputs down, and start the task; returns at once.

        Without `begin` it is left to the next process that recovers the folder.

        Raises `BundleError`, `DescriptorError`, `ImageError`, `InputsError`, `AdmissionError` with all
        that is wrong, and leaves nothing behind then. `shield`: see `Submitter.take`.
        """
        self._refuse_if_closed()
        ready = self._intake.prepare(
            request, (*listeners, self._tell), task_id=task_id, defer_signals=defer_signals, check=self._check
        )
        try:
            with defer_signals():
                self._accept(ready) if start else ready.lock.release(ended=False)
        except BaseException:
            if self._list.find(ready.task.id) is None:
                self._home.remove(ready.task.workspace, ready.lock)
            raise
        return ready.task

    def _check(self, task: ActiveTask) -> None:
        self._runner().admission.check(task.id, task.record.resources)

    def create_task(
        self,
        payload: Mapping[str, Any],
        assigned_by: str = "",
        *,
        task_id: str | None = None,
        find_bundle: Callable[[str], Path] = Path,
        find_file: Callable[[str], Path] | None = None,
        start: bool = True,
    ) -> ActiveTask:
        """Make a task of an object: one that names a bundle or an image runs, others are completed by hand.

        With a `task_id` that is there already, the task that is there is given back. Raises as `submit`,
        `UsageError` with the path of every key that does not fit, and `TaskExists` when the task that is
        there was made of another object or has ended.
        """
        self._refuse_if_closed()
        if is_free_form(payload):
            return self._make_free_form(payload, assigned_by, task_id)
        known = self._same(task_id, payload) if task_id else None
        if known is not None:
            return known
        request = replace(from_payload(payload, find_bundle, find_file), assigned_by=assigned_by)
        return self.submit(request, task_id=task_id, start=start)

    def _make_free_form(
        self, payload: Mapping[str, Any], assigned_by: str, task_id: str | None
    ) -> ActiveTask:
        try:
            workspace = self._home.create(task_id)
        except TaskExists:
            known = self._same(task_id, payload) if task_id else None
            if known is None:
                raise
            return known
        record = TaskRecord(
            id=workspace.id,
            bundle="",
            submitted=redact_secrets(payload),
            assigned_by=assigned_by,
            folder=str(workspace),
        )
        return self._keep(ActiveTask(record, workspace, (self._tell,)))

    def _keep(self, task: ActiveTask) -> ActiveTask:
        task.create()
        self._home.publish(task.workspace)  # nobody carries it: any process may complete it
        self._list.add(task)
        return task

    def _same(self, task_id: str, payload: Mapping[str, Any]) -> ActiveTask | None:
        record = self.find_task(task_id)
        if record is None:
            return None
        task = self.get_task(task_id)
        if task is None or record.submitted != redact_secrets(payload):
            raise TaskExists(f"there is a task {task_id} already", remedy="choose another id", id=task_id)
        return task

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ShuttingDown("no more tasks are taken: localrun is shutting down", remedy="start it again")

    def put_input(self, task_id: str, name: str, chunks: Iterable[bytes]) -> TaskRecord:
        """Take the content of one input; the task starts once all are there.

        Raises `TaskNotFound`, `UsageError` when the task waits for no inputs, and `InputsError` when the
        input does not fit; it is not kept then. Raises `ShuttingDown`.
        """
        self._refuse_if_closed()
        record = self.find_task(task_id)
        if record is None:
            raise TaskNotFound(f"no task {task_id}", id=task_id)
        return self._waiting.put_input(record, name, chunks)

    # -- running tasks ---------------------------------------------------------------------------

    def _accept(self, ready: PreparedTask) -> None:
        self._list.add(ready.task)
        if ready.missing:
            self._waiting.add(ready)
        else:
            self._start(ready)

    def _start(self, ready: PreparedTask) -> None:
        task = ready.task
        if task.record.kind == "replicated":
            self._crew.run(task, ready.lock, lambda: self._replicate(ready))
            return
        self._runner().admission.enqueue(task.id, task.record.resources)
        self._crew.run(task, ready.lock, lambda: self._runner().execute(task, ready.descriptor, ready.source))

    def _replicate(self, ready: PreparedTask) -> None:
        from localrun.manager.replicas import ReplicaContext, run

        helpers = ReplicaContext(
            self._home, self._runner(), self._crew, self._tell, self.find_task, self.resume, self.kill_task
        )
        run(ready, helpers)

    def wait(self, task: ActiveTask, timeout: float | None = None) -> TaskRecord | None:
        """Block until a task of this process has ended and let go of everything; None after `timeout` s."""
        return task.record if self._crew.wait(task, timeout) else None

    def kill(self, task: ActiveTask, grace: float | None = None) -> None:
        """Stop a task of this process; it ends KILLED within the grace (seconds)."""
        task.cancel()
        ready = self._waiting.pop(task.id)
        if self._crew.is_running(task):
            runner = self._runner()
            runner.admission.wake(task.id)
            runner.stop(task, self._settings.grace if grace is None else grace)
            self._kill_replicas(task.record, grace)
        else:
            claim = ready.lock if ready else self._home.acquire(task.id)
            if claim is not None:  # else somebody else ends it just now
                self._end(task, claim, TaskState.KILLED, str(Cause.KILLED), "the task was stopped on request")

    def _kill_replicas(self, record: TaskRecord, grace: float | None) -> None:
        if record.replication is not None:
            from localrun.manager.replicas import kill_in_parallel

            kill_in_parallel(lambda task_id: self.kill_task(task_id, grace), record.replication.ids)

    def _end(
        self,
        task: ActiveTask,
        claim: TaskLock,
        state: TaskState,
        cause: str | None,
        message: str,
        **facts: Any,
    ) -> bool:
        """End a task that nobody carries; False when it had ended before the claim."""
        try:
            if task.record.state.is_final:
                return False
            task.transition(state, cause=cause, message=message, **facts)
        finally:
            claim.release(ended=task.record.state.is_final)
        self._list.complete(task.record)
        return True

    # -- finding and ending tasks ----------------------------------------------------------------

    @property
    def active_tasks(self) -> list[TaskRecord]:
        """The tasks that have not ended, in the order they came; also those of other processes."""
        self.refresh()
        ours = [task.record for task in self._list.active()]
        known = {record.id for record in ours}
        others = [
            self._home.open(name).load_or_none() for name in self._home.active_ids() if name not in known
        ]
        theirs = [record for record in others if record is not None and not record.state.is_final]
        return sorted([*ours, *theirs], key=lambda record: record.created_at) if theirs else ours

    def refresh(self) -> None:
        """Hear of the tasks that another process has ended: those that nobody carries are anybody's."""
        offered = set(self._home.active_ids())
        for task in self._list.active():
            if task.record.plan is None and task.id not in offered:
                self._ended_elsewhere(task)

    def _ended_elsewhere(self, task: ActiveTask) -> TaskRecord | None:
        record = task.workspace.load_or_none()
        if record is None:  # deleted since
            self._list.discard(task.id)
        elif record.state.is_final:
            self._list.complete(record)
        return record

    @property
    def completed_tasks(self) -> list[TaskRecord]:
        """The last tasks that have ended, in that order."""
        return self._list.completed()

    def get_task(self, task_id: str) -> ActiveTask | None:
        """An active task of this process."""
        task = self._list.find(task_id)
        if task is not None and task.record.plan is None and not self._home.is_active(task_id):
            self._ended_elsewhere(task)
            return self._list.find(task_id)
        return task

    def find_task(self, task_id: str) -> TaskRecord | None:
        """A task by its whole id: active, completed, or on disk only."""
        task = self.get_task(task_id)
        if task is not None:
            return task.record
        found = self._list.find_completed(task_id)
        if found is not None:
            return found
        workspace = self._home.find(task_id)
        return workspace.load_or_none() if workspace else None

    def get_all_active_tasks(self) -> list[ActiveTask]:
        """The tasks of this process that have not ended, in the order of their submission."""
        return self._list.active()

    def get_tasks_by_assignee(self, name: str) -> list[TaskRecord]:
        """The active tasks that somebody has assigned."""
        return [record for record in self.active_tasks if record.assigned_by == name]

    def complete_task(self, task_id: str, result: Mapping[str, Any] | None = None) -> TaskRecord | None:
        """End a task that has no container as FINISHED; None when there is no such task.

        Raises `UsageError` when it has a container, which completes it, or has ended already.
        """
        record = self.find_task(task_id)
        if record is None:
            return None
        if record.plan is not None:
            raise UsageError(f"the task {task_id} ends with its container", remedy="kill it, or wait for it")
        task = self._list.find(task_id) or ActiveTask(record, self._home.open(task_id), (self._tell,))
        claim = self._home.acquire(task_id)
        done = dict(result or {})
        if claim is None or not self._end(task, claim, TaskState.FINISHED, None, "completed", result=done):
            raise UsageError(f"the task {task_id} has ended already", id=task_id)
        return task.record

    def kill_task(self, task_id: str, grace: float | None = None) -> TaskRecord | None:
        """Stop a task, whichever process carries it; None when there is no such task.

        Returns at once, with the record as it is then; `wait_for` tells the end.
        """
        task = self._list.find(task_id)
        if task is not None:
            self.kill(task, grace)
            return task.record
        record = self.find_task(task_id)
        if record is None or record.state.is_final:
            return record
        if record.plan is None:  # nobody carries it, and no engine knows of it
            self.kill(ActiveTask(record, self._home.open(task_id), (self._tell,)))
            return self.find_task(task_id)
        self._home.open(task_id).request_kill()
        self._stop_containers(task_id, grace)
        self._kill_replicas(record, grace)
        return record

    def _stop_containers(self, task_id: str, grace: float | None) -> None:
        engine = self._runner().engine
        for found in engine.find({LABEL_TASK: task_id}):
            engine.stop(found.handle, self._settings.grace if grace is None else grace)

    def wait_for(self, task_id: str, timeout: float | None = None) -> TaskRecord | None:
        """Wait for the end of a task for at most `timeout` seconds; its record then, None if unknown."""
        task = self._list.find(task_id)
        if task is not None:
            self.wait(task, timeout)
        return self.find_task(task_id)

    def get_status(self) -> dict[str, int]:
        """How many tasks are active, how many have ended, and the sum."""
        active, completed = self._list.counts()
        return {
            "active_tasks_count": active,
            "completed_tasks_count": completed,
            "total_tasks_processed": active + completed,
        }

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear every event of every task of this process, in its thread; returns how to stop that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return unsubscribe

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    # -- the beginning and the end of a process --------------------------------------------------

    def recover(self) -> list[TaskRecord]:
        """Go on with what earlier processes left; the tasks that were taken over. See `Takeover`."""
        self._remember()
        taken = self._takeover.all(self.active_tasks)
        return [self.find_task(record.id) or record for record in taken]

    def resume(self, task_id: str) -> ActiveTask | None:
        """Carry a task on here whose process died; None when somebody carries it, or it has ended now.

        Raises `EngineUnreachable`.
        """
        record = self.find_task(task_id)
        if record is None or record.state.is_final or not self._takeover.one(record):
            return None
        return self._list.find(task_id)

    def _remember(self) -> None:
        active = set(self._home.active_ids())
        ended = [workspace for workspace in self._home.newest_first() if workspace.id not in active]
        records = [workspace.load_or_none() for workspace in ended[: self._settings.keep_completed]]
        self._list.restore_completed(
            [record for record in reversed(records) if record is not None], len(ended)
        )

    def shutdown(self, grace: float | None = None, *, on_exit: OnExit = "kill") -> None:
        """Take no more tasks, and kill what runs, wait for it, or leave it to the next process."""
        self._closed = True
        self._waiting.close()
        if on_exit == "leave":
            return
        carried = [task for task in self._list.active() if self._crew.is_running(task)]
        if on_exit == "kill":
            for task in carried:
                self.kill(task, grace)
        for task in carried:
            self.wait(task)
