"""The composition root: creates and connects the parts of localrun."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from localrun.admission import Admission, Capacity, machine_ledger_path
from localrun.admission.memory_limits import check_memory_limits
from localrun.engines.base import Engine
from localrun.errors import EngineError, EngineUnreachable, LocalrunError, UsageError
from localrun.manager.manager import Manager
from localrun.runner.disk_guard import DiskMonitor
from localrun.runner.runner import Runner
from localrun.settings import Settings
from localrun.settings.options import OnExit
from localrun.task.dependents import refuse_if_needed
from localrun.task.fate import Fate, fate
from localrun.task.process import is_stopped
from localrun.task.record import TaskRecord, short_id
from localrun.task.selection import ALL_TASKS, TaskSelection
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace

if TYPE_CHECKING:
    from localrun.engines.dockerd.address import Address
    from localrun.manager.recovery import Recovery

_OWNER_PATIENCE = 60.0  # seconds for the process that owns a stopped task to collect its outputs
_LOOK_INTERVAL = 0.25  # seconds between two looks at that process
_LOOKS = 4  # in a row at which it must be suspended
_ANY_NUMBER = 1024  # most engines with GPU support do not report their GPUs


class App:
    """localrun for one folder of tasks. Connects to the engine on first use.

    Raises `LocalrunError` if the limits of this process leave too little memory.
    """

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        check_memory_limits()
        self.settings = settings
        self.store = TaskStore(settings.home)
        self.manager = Manager(self.store, settings, lambda: self.runner, self.wait)
        self._given_engine = engine
        self._connecting: threading.Thread | None = None
        self._others: dict[str, App] = {}  # address -> the app of another engine with tasks of this folder

    def connect_in_background(self) -> None:
        """Connect to the engine in a thread, since it is slow to answer.

        The first use of `engine` waits for it, and raises its error.
        """
        thread = threading.Thread(target=self._preconnect, name="engine", daemon=True)
        thread.start()
        self._connecting = thread

    def _preconnect(self) -> None:
        # the first use reports any of them
        with suppress(EngineError, OSError, MemoryError, RuntimeError, ImportError, SystemError):
            self._connected.info()

    @cached_property
    def engine(self) -> Engine:
        """The engine. Raises `EngineUnreachable`."""
        if self._connecting is not None:
            self._connecting.join()
        return self._connected

    @cached_property
    def _connected(self) -> Engine:
        if self._given_engine is not None:
            return self._given_engine
        from localrun.engines.dockerd import DockerEngine

        return DockerEngine.of(self.settings)

    @property
    def ledger(self) -> Path:
        """The file of reservations: that of the settings, or else one for the whole machine."""
        if self.settings.ledger:
            return self.settings.ledger
        found = self._address
        # all local engines share the CPUs and the memory of this machine
        return machine_ledger_path("local" if found is None or found.is_local else found.url)

    @cached_property
    def _address(self) -> Address | None:
        """The address of the engine; None if an invalid one was chosen, so that no task starts."""
        from localrun.engines.dockerd.configuration.selection import select

        try:
            return select(self.settings)
        except EngineUnreachable:
            return None

    def at_engine_of(self, record: TaskRecord) -> App:
        """Return the app of the engine that a record names; this one if no other engine answers there.

        The other engine is reached with the TLS settings of this one.
        """
        is_own = self._address is not None and self._address.url == record.engine
        if not record.engine or is_own or self._given_engine is not None:
            return self
        if record.engine not in self._others:
            settings = replace(self.settings, docker_host=record.engine, docker_context=None)
            self._others[record.engine] = App(settings)
        other = self._others[record.engine]
        try:
            other.engine.info()
        except EngineError:
            return self
        return other

    @cached_property
    def runner(self) -> Runner:
        """The runner of tasks on the engine."""
        settings, info = self.settings, self.engine.info()
        folders = [folder for folder in (settings.home.parent, Path(info.root)) if folder.is_dir()]
        gpus = len(info.gpu_devices) or _ANY_NUMBER if info.gpus else 0
        capacity = Capacity(cpus=info.cpus, memory=info.memory, gpus=gpus)
        admission = Admission(
            self.ledger, capacity, folders, disk_limit=settings.disk_limit, disk_reserve=settings.disk_reserve
        )
        return Runner(self.engine, admission, DiskMonitor(folders, settings.disk_stop), settings)

    @cached_property
    def recovery(self) -> Recovery:
        """Ends the tasks of dead processes."""
        from localrun.manager.recovery import Recovery

        return Recovery(self.store, self.runner, lambda record: self.at_engine_of(record).recovery)

    def supervise(self) -> bool:
        """Start the supervisor of the folder, which owns detached tasks once their process has ended.

        Returns whether one runs now. There is none for an engine that only this process can reach.
        """
        if self._given_engine is not None:
            return False
        from localrun.manager import supervisor_process

        return supervisor_process.start(self.settings)

    def supervise_others(self) -> None:
        """Start the supervisor if the folder has detached tasks that this process does not own."""
        for task_id in self.store.active_ids():
            if self.manager.get_task(task_id) is not None:
                continue
            record = self.store.open(task_id).load_or_none()
            if record is not None and fate(record, owner_alive=False) is Fate.RESUME:
                self.supervise()
                return

    def hand_over(self) -> bool:
        """Start the supervisor if this process owns detached tasks; return whether it will own them."""
        owned = [task.record for task in self.manager.get_all_active_tasks()]
        return any(fate(record, owner_alive=False) is Fate.RESUME for record in owned) and self.supervise()

    def recover(self) -> list[TaskRecord]:
        """End or resume the tasks of dead processes, as `task/fate.py` decides, and return all of them."""
        ended: list[TaskRecord] = []
        try:
            with suppress(EngineUnreachable):  # they are ended when it is back
                ended = self.recovery.end_orphans()
        finally:  # an orphan that cannot be ended does not keep other tasks from being resumed
            resumed = self.manager.recover()
        return ended + resumed + self._resume_elsewhere()

    def _resume_elsewhere(self) -> list[TaskRecord]:
        """Resume the tasks of other engines, if these answer."""
        resumed = []
        for record in self.manager.active_tasks:
            other = self.at_engine_of(record)
            with suppress(EngineUnreachable):
                if other is not self and other.manager.resume(record.id) is not None:
                    resumed.append(record)
        return resumed

    def tasks(self, limit: int | None = None, selection: TaskSelection = ALL_TASKS) -> list[TaskRecord]:
        """Return the selected tasks, newest first, without replicas and unreadable records."""
        loaded = (workspace.load_or_none() for workspace in self.store.newest_first())
        found = (record for record in loaded if record is not None and record.replica is None)
        return list(islice(filter(selection.matches, found), limit))

    def find(self, prefix: str) -> tuple[Workspace, TaskRecord]:
        """Return a task by id, unique prefix, or `last`. Raises `TaskNotFound`."""
        from localrun.task import lookup

        workspace = lookup.find(self.store, prefix)
        return workspace, workspace.load()

    def replicas(self, record: TaskRecord) -> list[TaskRecord]:
        """Return the records of a task's replicas in order, without deleted ones."""
        ids = record.replication.ids if record.replication else []
        places = (self.store.find(task_id) for task_id in ids)
        found = (place.load_or_none() for place in places if place is not None)
        return [replica for replica in found if replica is not None]

    def kill(
        self, prefix: str, grace: float | None = None, notify: Callable[[str], None] = lambda _: None
    ) -> TaskRecord:
        """Stop a task of any process, and return its record when it has ended.

        Does not wait forever for the process that owns the task: if it is suspended, this process ends the
        task, which `notify` reports. Raises `TaskNotFound`, `UsageError` if it has ended by itself, and
        `LocalrunError` if its process does not end it.
        """
        workspace, record = self.find(prefix)
        note = ""
        if not record.state.is_final:
            self.at_engine_of(record).manager.kill_task(record.id, grace)
            patience = (self.settings.grace if grace is None else grace) + _OWNER_PATIENCE
            record, note = self._wait_for_owner(record.id, patience)
            if workspace.kill_requested or record.state is TaskState.KILLED:
                if note:
                    notify(note)
                return record
        message = f"task {record.short_id} has ended already ({record.state})"
        raise UsageError(f"{message}; {note}" if note else message, remedy="nothing to do")

    def _wait_for_owner(self, task_id: str, patience: float) -> tuple[TaskRecord, str]:
        """Wait until the process that owns a task has ended it, or end it instead of a suspended one.

        Returns the record, and a note if the process is suspended.
        """
        if self.manager.get_task(task_id) is not None:
            return self.wait(task_id), ""
        release = threading.Thread(target=self.store.wait_released, args=(task_id,), daemon=True)
        release.start()
        deadline, looks = time.monotonic() + patience, 0
        while True:
            release.join(_LOOK_INTERVAL)
            if not release.is_alive():
                record = self.wait(task_id)
                self.store.wait_released(task_id)  # another thread of this process may have ended it
                return record, ""
            record = self.store.open(task_id).load()
            looks = looks + 1 if record.owner is not None and is_stopped(record.owner) else 0
            if looks >= _LOOKS:  # a debugger stops a process only for a moment
                assert record.owner is not None
                name = f"process {record.owner.pid}, which owns the task"
                note = f"{name}, is suspended, so this process recorded the end"
                return self.recovery.end_stopped(task_id), note
            if time.monotonic() >= deadline:
                name = f"process {record.owner.pid}" if record.owner else "its process"
                raise LocalrunError(
                    f"task {record.short_id} was asked to stop, but {name} has not ended it",
                    remedy=f"end {name}, then run `localrun kill {record.short_id}` again",
                )

    def wait(self, prefix: str) -> TaskRecord:
        """Wait for the end of a task of any process, and return its record.

        If its process died, a detached task is resumed by this process, and another one is ended. A manual
        task, and a task that waits for inputs, are returned as they are if no process owns them, unless a
        stop was requested. Raises `EngineUnreachable`.
        """
        workspace, record = self.find(prefix)
        while not record.state.is_final:
            self.store.wait_released(record.id)
            record = workspace.load()
            if fate(record, owner_alive=False).is_blocked and not workspace.kill_requested:
                break
            if not record.state.is_final:
                self.at_engine_of(record)._continue(record)
                record = workspace.load()
        return record

    def _continue(self, record: TaskRecord) -> None:
        if self.recovery.end(record.id) is not None:
            return
        task = self.manager.resume(record.id)
        if task is not None and fate(record, owner_alive=False).is_blocked:
            self.manager.kill(task)
        if task is not None and self.manager.wait(task) and not task.record.state.is_final:
            raise LocalrunError(
                f"internal error: task {task.short_id} never reached a final state",
                remedy="this is a bug in localrun; please report it with the output above",
            )

    def remove(self, prefix: str) -> str:
        """Delete the folders of an ended task and its replicas, and return its id.

        Raises `UsageError` for an active task, for one that an active task needs, and for a replica, which is
        deleted with its parent task.
        """
        from localrun.task import lookup

        workspace = lookup.find(self.store, prefix)
        record = workspace.load_or_none()
        parent = record.replica.parent_id if record and record.replica else None
        if record is not None and parent is not None and self.store.find(parent):
            raise UsageError(
                f"task {record.short_id} is a replica of {short_id(parent)}",
                remedy=f"delete the parent task with its replicas: `localrun rm {short_id(parent)}`",
            )
        if record is not None and not record.state.is_final and self.recovery.end(record.id) is None:
            raise UsageError(
                f"task {record.short_id} has not ended ({record.state})",
                remedy=f"stop it first: `localrun kill {record.short_id}`",
            )
        replicas = self.replicas(record) if record is not None else []
        refuse_if_needed([workspace.id, *(one.id for one in replicas)], self.manager.active_tasks)
        for replica in replicas:
            self.store.remove(self.store.open(replica.id))
            self.manager.forget(replica.id)
        self.store.remove(workspace)
        self.manager.forget(workspace.id)
        return workspace.id

    def close(self, *, on_exit: OnExit = "kill") -> None:
        """Kill running tasks, wait for them, or leave them to the next process; disconnect the engine."""
        for other in self._others.values():
            other.close(on_exit=on_exit)
        if on_exit == "leave":
            self.hand_over()
        self.manager.shutdown(on_exit=on_exit)
        # threads that still run tasks use the engine until the process ends
        if not (on_exit == "leave" and self.manager.get_all_active_tasks()):
            self._disconnect()
            if self._connecting is not None:
                self._connecting.join()
                self._disconnect()  # the thread may have connected in between

    def _disconnect(self) -> None:
        for name in ("engine", "_connected"):
            if name in self.__dict__:
                self.__dict__[name].close()
