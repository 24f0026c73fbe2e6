"""The composition root: the only place that names concrete classes together."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from localrun.admission import Admission, Capacity, machine_ledger_path
from localrun.engines.base import Engine
from localrun.errors import EngineError, EngineUnreachable, LocalrunError, UsageError
from localrun.manager.manager import OnExit, TaskManager
from localrun.runner.disk_guard import DiskMonitor
from localrun.runner.runner import Runner
from localrun.settings import Settings
from localrun.task.fate import fate
from localrun.task.record import TaskRecord, short_id
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace

if TYPE_CHECKING:
    from localrun.manager.recovery import Recovery

_ANY_NUMBER = 1024  # an engine with GPU support does not say how many there are


def _machine(docker_host: str | None) -> str:
    """Engines on this machine share its cpus and memory, however they are called."""
    here = not docker_host or docker_host.startswith(("unix://", "tcp://127.", "tcp://localhost"))
    return "local" if here else str(docker_host)


class App:
    """localrun for one folder of tasks. The engine is connected to when something first needs it."""

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        self.settings = settings
        self.store = TaskStore(settings.home)
        self.manager = TaskManager(self.store, settings, lambda: self.runner)
        self._given_engine = engine
        self._look: threading.Thread | None = None

    def connect_in_background(self) -> None:
        """Ask the engine what it is while something else is done: it takes its time to answer.

        Whoever needs the engine waits for that, and meets the error if there is one.
        """
        self._look = threading.Thread(target=self._look_at_engine, name="engine", daemon=True)
        self._look.start()

    def _look_at_engine(self) -> None:
        with suppress(EngineError):
            self._connected.info()

    @cached_property
    def engine(self) -> Engine:
        """The engine. Raises `EngineUnreachable`."""
        if self._look is not None:
            self._look.join()
        return self._connected

    @cached_property
    def _connected(self) -> Engine:
        if self._given_engine is not None:
            return self._given_engine
        from localrun.engines.dockerd import DockerEngine

        return DockerEngine(self.settings.docker_host)

    @property
    def ledger(self) -> Path:
        """The file of reservations: one for the whole machine, or a given one."""
        return self.settings.ledger or machine_ledger_path(_machine(self.settings.docker_host))

    @cached_property
    def runner(self) -> Runner:
        """What carries tasks to their end on the engine."""
        info = self.engine.info()
        folders = [folder for folder in (self.settings.home.parent, Path(info.root)) if folder.is_dir()]
        capacity = Capacity(cpus=info.cpus, memory=info.memory, gpus=_ANY_NUMBER if info.gpus else 0)
        admission = Admission(
            self.ledger,
            capacity,
            folders,
            disk_limit=self.settings.disk_limit,
            disk_reserve=self.settings.disk_reserve,
        )
        return Runner(self.engine, admission, DiskMonitor(folders, self.settings.disk_stop), self.settings)

    @cached_property
    def recovery(self) -> Recovery:
        """What ends the tasks of processes that died."""
        from localrun.manager.recovery import Recovery

        return Recovery(self.store, self.engine, self.settings)

    def recover(self) -> list[TaskRecord]:
        """Go on with what earlier processes left, and end what nobody can go on with."""
        taken = self.manager.recover()
        try:
            return taken + self.recovery.end_orphans()
        except EngineUnreachable:
            return taken

    def tasks(self, limit: int | None = None) -> list[TaskRecord]:
        """The records of this folder's tasks, the newest first, without unreadable ones and replicas."""
        found: list[TaskRecord] = []
        for workspace in self.store.newest_first():
            if len(found) == limit:
                break
            record = workspace.load_or_none()
            if record is not None and record.replica is None:
                found.append(record)
        return found

    def find(self, prefix: str) -> tuple[Workspace, TaskRecord]:
        """A task by id, unique prefix, or `last`. Raises `TaskNotFound`."""
        from localrun.task import lookup

        workspace = lookup.find(self.store, prefix)
        return workspace, workspace.load()

    def replicas(self, record: TaskRecord) -> list[TaskRecord]:
        """The records of a task's replicas, in their order; those that are not there are left out."""
        ids = record.replication.ids if record.replication else []
        places = (self.store.find(task_id) for task_id in ids)
        found = (place.load_or_none() for place in places if place is not None)
        return [replica for replica in found if replica is not None]

    def kill(self, prefix: str, grace: float | None = None) -> TaskRecord:
        """Stop a task, whichever process carries it, and wait for its end.

        Raises `TaskNotFound`, and `UsageError` when it has ended already.
        """
        _, record = self.find(prefix)
        if record.state.is_final:
            raise UsageError(
                f"the task {record.short_id} has ended already ({record.state})", remedy="nothing to do"
            )
        self.manager.kill_task(record.id, grace)
        return self.wait(record.id)

    def wait(self, prefix: str) -> TaskRecord:
        """Block until a task has ended, whichever process carries it; its record then.

        If its process died, a detached task is carried on here, and another one ends. A task without a
        container, and one that waits for inputs, are given back as they are once nobody carries them,
        unless they were to be stopped.
        Raises `EngineUnreachable`.
        """
        workspace, record = self.find(prefix)
        while not record.state.is_final:
            self.store.wait_released(record.id)
            record = workspace.load()
            if fate(record, owner_alive=False).is_blocked and not workspace.kill_requested:
                break
            if not record.state.is_final:
                self._go_on(record)
                record = workspace.load()
        return record

    def _go_on(self, record: TaskRecord) -> None:
        if self.recovery.end(record.id) is not None:
            return
        task = self.manager.resume(record.id)
        if task is not None and fate(record, owner_alive=False).is_blocked:
            self.manager.kill(task)
        if task is not None and self.manager.wait(task) and not task.record.state.is_final:
            raise LocalrunError(
                f"localrun itself failed: the task {task.short_id} has no end",
                remedy="this is a bug of localrun; please report it with what is printed above",
            )

    def remove(self, prefix: str) -> str:
        """Delete an ended task's folder, with its replicas; its id.

        Raises `UsageError` while it is active, and for a replica, which goes with the task that it is of.
        """
        from localrun.task import lookup

        workspace = lookup.find(self.store, prefix)
        record = workspace.load_or_none()
        self._refuse_replica(record)
        if record is not None and not record.state.is_final and self.recovery.end(record.id) is None:
            raise UsageError(
                f"the task {record.short_id} has not ended ({record.state})",
                remedy=f"stop it first: `localrun kill {record.short_id}`",
            )
        for replica in self.replicas(record) if record is not None else ():
            self.store.remove(self.store.open(replica.id))
        self.store.remove(workspace)
        return workspace.id

    def _refuse_replica(self, record: TaskRecord | None) -> None:
        whole = record.replica.parent_id if record and record.replica else None
        if record is not None and whole is not None and self.store.find(whole):
            raise UsageError(
                f"the task {record.short_id} is a replica of {short_id(whole)}",
                remedy=f"delete that, and its replicas with it: `localrun rm {short_id(whole)}`",
            )

    def close(self, *, on_exit: OnExit = "kill") -> None:
        """Kill what still runs, wait for it, or leave it to the next process; and let go of the engine."""
        self.manager.shutdown(on_exit=on_exit)
        # threads that are left to their work use the engine until the process ends
        if not (on_exit == "leave" and self.manager.get_all_active_tasks()):
            self._let_go()
            if self._look is not None:
                self._look.join()
                self._let_go()  # it may have connected meanwhile

    def _let_go(self) -> None:
        for name in ("engine", "_connected"):
            if name in self.__dict__:
                self.__dict__[name].close()
