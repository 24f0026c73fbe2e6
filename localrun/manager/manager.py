"""The active and the completed tasks of one process: submit, find, complete, kill and resume them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from localrun.errors import Cause, ShuttingDown, TaskExists, TaskNotFound
from localrun.manager.dependencies import Dependencies
from localrun.manager.execution import Execution
from localrun.manager.held import HeldTasks
from localrun.manager.kill_request import request_kill
from localrun.manager.manual import ManualTasks
from localrun.manager.option_hints import option_hints
from localrun.manager.payload import field_names, from_payload, is_manual, redact_secrets
from localrun.manager.pending_inputs import PendingInputs
from localrun.manager.recovery import Resumer
from localrun.manager.registry import TaskRegistry, format_counts
from localrun.manager.request import Request
from localrun.manager.retention import Retention
from localrun.manager.submission import DeferSignals, PreparedTask, Submitter
from localrun.manager.workers import Workers, in_parallel
from localrun.runner.runner import Runner
from localrun.settings import Settings
from localrun.settings.options import OnExit
from localrun.task.active import ActiveTask
from localrun.task.events import Event, Listener
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore


class Manager:
    """Submits tasks, runs each in a thread of its own, and finds them by id. Thread-safe.

    `runner` returns the runner. It is called when the first task needs it, so that an invalid bundle is
    reported without an engine. `wait_other` waits for the end of a task of another process.
    """

    def __init__(
        self,
        store: TaskStore,
        settings: Settings,
        runner: Callable[[], Runner],
        wait_other: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._runner = runner
        self._submitter = Submitter(store, settings, lambda: runner().engine)
        self._registry = TaskRegistry(settings.keep_completed)
        self._workers = Workers(self._registry, self._on_ended)
        self._retention = Retention(store, settings)
        self._manual = ManualTasks(store, self._workers, self._on_event)
        self._execution = Execution(self._workers, runner, self._submitter.complete, self._run_replicas)
        start = partial(self._execution.start_or_fail, self._start)
        self._pending = PendingInputs(start, self.kill, self._submitter.provision, store.path)
        self._dependencies = Dependencies(
            self._pending,
            partial(self._execution.start_or_fail, self._execution.start),
            find=self.find_task,
            is_own=lambda task_id: self._registry.find(task_id) is not None,
            wait=wait_other,
        )
        self.held = HeldTasks(self._pending, self._find_open, self._check_resources, start)
        self._resumer = Resumer(
            store=store,
            submitter=self._submitter,
            workers=self._workers,
            runner=runner,
            accept=self._accept,
            on_event=self._on_event,
        )
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._closed = False

    # -- create tasks ----------------------------------------------------------------------------

    def submit(
        self,
        request: Request,
        *listeners: Listener,
        defer_signals: DeferSignals = nullcontext,
        task_id: str | None = None,
        start: bool = True,
    ) -> ActiveTask:
        """Validate the request, write the inputs, and start the task; return at once.

        Without `start` the next process that recovers the folder starts it. If the request allows it, returns
        a finished task with the same result (`reused`). `defer_signals`: see `Submitter.prepare`.
        Raises as `Submitter.read`, or `AdmissionError`, and leaves nothing behind then.
        """
        self._refuse_if_closed()
        found = self._submitter.read(request, task_id)
        if (reused := self._submitter.find_result(found, listeners)) is not None:
            return reused
        check = self._check_resources if not request.held else lambda _: None
        prepared = self._submitter.prepare(
            found, (*listeners, self._on_event), task_id=task_id, defer_signals=defer_signals, check=check
        )
        try:
            with defer_signals():
                self._accept(prepared) if start else prepared.lock.release(ended=False)
        except BaseException:
            if not self._workers.is_running(prepared.task):
                self._registry.discard(prepared.task.id)
                self._store.remove(prepared.task.workspace, prepared.lock)
            raise
        return prepared.task

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
        """Create a task from a JSON object. Without a bundle or an image it is a manual task.

        If `task_id` exists, return the existing task. Raises as `submit`, `UsageError` with the path of every
        invalid field, and `TaskExists` if the existing task has other fields or has ended.
        """
        self._refuse_if_closed()
        profile = self._settings.defaults.run.get("profile")
        if profile and {"bundle", "image"} & payload.keys():
            payload = {"profile": profile, **payload}
        if is_manual(payload):
            try:
                return self._manual.create(payload, assigned_by, task_id)
            except TaskExists:
                existing = self._existing(task_id, payload)
                if existing is None:
                    raise
                return existing
        if (existing := self._existing(task_id, payload)) is not None:
            return existing
        request = from_payload(payload, find_bundle, find_file, self._settings)
        with option_hints(lambda: field_names(payload)):
            return self.submit(request.replace(assigned_by=assigned_by), task_id=task_id, start=start)

    def _existing(self, task_id: str | None, payload: Mapping[str, Any]) -> ActiveTask | None:
        record = self.find_task(task_id) if task_id else None
        if record is None:
            return None
        task = self.get_task(record.id)
        if task is None or record.submitted != redact_secrets(payload):
            raise TaskExists(f"task {task_id} exists already", remedy="choose another id", id=task_id)
        return task

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ShuttingDown("localrun is shutting down and accepts no more tasks", remedy="start it again")

    def put_input(self, task_id: str, name: str, chunks: Iterable[bytes]) -> TaskRecord:
        """Store the content of one input, and start the task after its last missing input.

        Raises `TaskNotFound`, `UsageError` if the task waits for no inputs, and `InputsError` if the input
        is invalid, which is not stored then. Raises `ShuttingDown`.
        """
        return self._pending.put_input(self._find_open(task_id), name, chunks)

    def receive_input(self, task_id: str, name: str) -> AbstractContextManager[Path]:
        """Return a context with the path for the content of an input, which `store_input` then stores.

        Entering it raises as `put_input` if the task does not accept the input.
        """
        return self._pending.receive(self._find_open(task_id), name)

    def items_folder(self, task_id: str, name: str) -> Path:
        """Return the folder for the items of an array, for `store_input`. Raises as `receive_input`."""
        return self._pending.items_folder(self._find_open(task_id), name)

    def store_input(self, task_id: str, name: str, path: Path) -> TaskRecord:
        """Store the file of `receive_input`, as `put_input`."""
        return self._pending.store(self._find_open(task_id), name, path)

    def _check_resources(self, task: ActiveTask) -> None:
        self._runner().admission.check(task.id, task.record.resources)

    def _find_open(self, task_id: str) -> TaskRecord:
        self._refuse_if_closed()
        record = self.find_task(task_id)
        if record is None:
            raise TaskNotFound(f"no task {task_id}", id=task_id)
        return record

    # -- run tasks -------------------------------------------------------------------------------

    def _accept(self, prepared: PreparedTask) -> None:
        self._registry.add(prepared.task)
        if prepared.missing or prepared.task.record.run_plan.held:
            self._pending.add(prepared)
        else:
            self._start(prepared)

    def _start(self, prepared: PreparedTask) -> None:
        if prepared.task.record.needs:
            self._dependencies.add(prepared)
        else:
            self._execution.start(prepared)

    def _on_ended(self, task: ActiveTask) -> None:
        self._dependencies.ended(task.record)
        if self._retention.is_on and task.record.replica is None:
            for task_id in self._retention.apply(task):
                self._registry.forget(task_id)

    def _run_replicas(self, prepared: PreparedTask) -> None:
        from localrun.manager import replicas

        context = replicas.ReplicaContext(
            store=self._store,
            runner=self._runner(),
            workers=self._workers,
            on_event=self._on_event,
            find=self.find_task,
            resume=partial(self.resume, parent_alive=True),
            kill=self.kill_task,
        )
        replicas.run(prepared, context)

    def wait(self, task: ActiveTask, timeout: float | None = None) -> TaskRecord | None:
        """Block until a task of this process has ended and is released; None after `timeout` seconds."""
        return task.record if self._workers.wait(task, timeout) else None

    def kill(self, task: ActiveTask, grace: float | None = None) -> None:
        """Stop a task of this process; it ends KILLED within the grace period (seconds)."""
        prepared = self._pending.pop(task.id)  # else the thread that looks for kills could end it later
        task.cancel()
        prepared = prepared or self._pending.pop(task.id)
        if self._workers.is_running(task):
            self._runner().admission.wake(task.id)
            self._runner().stop(task, self._settings.grace if grace is None else grace)
            self._kill_replicas(task.record, grace)
            return
        if lock := prepared.lock if prepared else self._store.acquire(task.id):  # else a process is ending it
            message = "the task was stopped on request"
            self._workers.end(task, lock, TaskState.KILLED, cause=str(Cause.KILLED), message=message)

    def _kill_replicas(self, record: TaskRecord, grace: float | None) -> None:
        if record.replication is not None:
            in_parallel(lambda task_id: self.kill_task(task_id, grace), record.replication.ids)

    # -- find and end tasks ----------------------------------------------------------------------

    @property
    def active_tasks(self) -> list[TaskRecord]:
        """The active tasks of all processes, oldest first."""
        self.refresh()
        own = [task.record for task in self._registry.active()]
        unknown = set(self._store.active_ids()) - {record.id for record in own}
        found = [self._store.open(task_id).load_or_none() for task_id in unknown]
        others = [record for record in found if record is not None and not record.state.is_final]
        return sorted([*own, *others], key=lambda record: record.created) if others else own

    def refresh(self) -> None:
        """Update the list of tasks with those that another process has ended."""
        self._manual.refresh()

    def forget(self, task_id: str) -> None:
        """Drop a completed task whose folder was deleted."""
        self._registry.forget(task_id)

    @property
    def completed_tasks(self) -> list[TaskRecord]:
        """The last completed tasks, oldest first."""
        return self._registry.completed()

    def get_task(self, task_id: str) -> ActiveTask | None:
        """Return an active task of this process."""
        return self._manual.find(task_id)

    def find_task(self, task_id: str) -> TaskRecord | None:
        """Return the record of an active or completed task, or of a task on disk, by its whole id."""
        if (task := self.get_task(task_id)) is not None:
            return task.record
        workspace = self._store.find(task_id)
        return self._registry.find_completed(task_id) or (workspace.load_or_none() if workspace else None)

    def get_all_active_tasks(self) -> list[ActiveTask]:
        """Return the active tasks of this process in the order of their submission."""
        return self._registry.active()

    def get_tasks_by_assignee(self, name: str) -> list[TaskRecord]:
        """Return the active tasks that were assigned by `name`."""
        return [record for record in self.active_tasks if record.assigned_by == name]

    def complete_task(self, task_id: str, result: Mapping[str, Any] | None = None) -> TaskRecord | None:
        """End a manual task as FINISHED; None if there is no such task.

        Raises `UsageError` if it has a container or has ended already.
        """
        record = self.find_task(task_id)
        return None if record is None else self._manual.complete(record, result)

    def kill_task(self, task_id: str, grace: float | None = None) -> TaskRecord | None:
        """Stop a task of any process; None if there is no such task.

        Returns at once, with the current record; `wait_for` waits for the end. A task of another process
        whose container has ended by itself is not stopped: its process is about to end it.
        """
        task = self._registry.find(task_id)
        if task is not None:
            self.kill(task, grace)
            return task.record
        record = self.find_task(task_id)
        if record is None or record.state.is_final:
            return record
        if record.kind == "manual":
            self._manual.kill(record)
            return self.find_task(task_id)
        seconds = self._settings.grace if grace is None else grace
        if request_kill(record, self._store.open(task_id), self._runner(), seconds):
            self._kill_replicas(record, seconds)
        return record

    def wait_for(self, task_id: str, timeout: float | None = None) -> TaskRecord | None:
        """Wait for the end of a task for at most `timeout` seconds; return its record, None if unknown."""
        task = self._registry.find(task_id)
        if task is not None:
            self.wait(task, timeout)
        return self.find_task(task_id)

    def get_status(self) -> dict[str, int]:
        """Return the number of active tasks, of completed tasks, and of both."""
        return format_counts(*self._registry.counts())

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event of this process's tasks; return a function that stops it.

        The listener is called in the threads of the tasks.
        """
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return unsubscribe

    def _on_event(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    # -- recover and shut down -------------------------------------------------------------------

    def recover(self) -> list[TaskRecord]:
        """Load completed tasks, resume detached ones of dead processes, and return the resumed ones."""
        active = set(self._store.active_ids())
        ended = [workspace for workspace in self._store.newest_first() if workspace.id not in active]
        records = [workspace.load_or_none() for workspace in ended[: self._settings.keep_completed]]
        oldest_first = [record for record in reversed(records) if record is not None]
        self._registry.restore_completed(oldest_first, len(ended))
        resumed = self._resumer.resume_orphans(self.active_tasks)
        return [self.find_task(record.id) or record for record in resumed]

    def resume(self, task_id: str, *, parent_alive: bool = False) -> ActiveTask | None:
        """Resume a task whose process died; None if another process owns it or it is not resumable.

        A task that is not detached is resumable only as a replica of a task that runs (`parent_alive`).
        Raises `EngineUnreachable`.
        """
        record = self.find_task(task_id)
        if record is None or not self._resumer.resume(record, parent_alive=parent_alive):
            return None
        return self._registry.find(task_id)

    def shutdown(self, grace: float | None = None, *, on_exit: OnExit = "kill") -> None:
        """Accept no more tasks; kill running ones, wait for them, or leave them to the next process."""
        self._closed = True
        running = self.running_tasks() if on_exit != "leave" else []
        if on_exit == "kill":
            for task in filter(self._waits, running):  # else the end of another task would fail them
                self.kill(task, grace)
            in_parallel(lambda task: self.kill(task, grace), running)  # each may take the grace period
        for task in running:
            self.wait(task)
        self._dependencies.close()
        self._pending.close()

    def running_tasks(self) -> list[ActiveTask]:
        """Return the tasks of this process that run or are queued, without those that wait for uploads."""
        tasks = self._registry.active()
        return [task for task in tasks if self._workers.is_running(task) or self._waits(task)]

    def _waits(self, task: ActiveTask) -> bool:
        """Whether a task waits for the output of another one."""
        return self._dependencies.is_waiting(task.id)


TaskManager = Manager  # the name for other projects
