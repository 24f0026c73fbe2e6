"""The supervisor of a folder: owns detached tasks from the moment at which their process has ended.

It is started with the first detached task and waits for the locks of the processes that own such tasks. The
kernel releases a lock when its process dies, and the supervisor resumes the task at once: it starts queued
tasks, enforces limits, keeps the log, and collects the outputs. It ends when no such task is left. If it is
killed, the next localrun process resumes its tasks.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from localrun.app import App
from localrun.engines.labels import LABEL_TASK
from localrun.errors import EngineUnreachable, LocalrunError, OtherEngine
from localrun.manager.supervisor_process import decode_settings
from localrun.task import supervision
from localrun.task.events import Event
from localrun.task.fate import Fate, fate
from localrun.task.record import ProcessId, TaskRecord
from localrun.task.states import TaskState

_TICK = 2.0  # seconds between two looks at the folder, which may have been deleted
_LINGER = 1.0  # seconds without a task until it ends, because a script often submits the next one
_CLEAN_UP = 10.0  # seconds at most to end tasks whose folder was deleted
_ENGINE_INTERVAL = 5.0  # seconds until an engine that did not answer is asked again
_MAX_LOG = 1024**2  # bytes


class Supervisor:
    """Resumes the detached tasks of a folder; `descriptor` is the open, locked lock file."""

    def __init__(self, app: App, descriptor: int) -> None:
        self._app = app
        self._store = app.store
        self._home = app.settings.home
        self._descriptor = descriptor
        self._wake = threading.Event()
        self._watched: set[ProcessId] = set()  # the processes that a thread waits for
        self._records: dict[str, TaskRecord] = {}  # of the detached tasks of other processes
        self._resumed: dict[str, App] = {}  # until their end
        self._failed: set[str] = set()  # tasks that could not be resumed for another reason than the engine
        self._next_attempt = 0.0

    def run(self) -> None:
        """Supervise until no detached task is left, or the folder was deleted."""
        self._app.manager.subscribe(self._on_event)
        log(f"supervisor {os.getpid()} started")
        idle = False
        while supervision.is_held(self._home, self._descriptor):
            self._wake.clear()
            if self._look():
                idle = False
                self._wake.wait(_TICK)
            elif not idle:
                idle = True
                self._wake.wait(_LINGER)
            elif self._release():
                log("no detached task is left")
                return
            truncate_log()
        self._end_tasks()

    def wait_for_signals(self) -> None:
        """Look for new tasks at each SIGCONT; see `supervision.wake`.

        The signal must be blocked: a handler in the main thread must not set what that thread waits for.
        """
        while signal.sigwait({signal.SIGCONT}):
            self._wake.set()

    def _on_event(self, event: Event) -> None:
        state = event.data.get("state") if event.kind == "state" else None
        if state is not None and TaskState(state).is_final:
            self._wake.set()

    def _look(self) -> bool:
        """Resume the tasks without an owner, and return whether there is any task to supervise."""
        active = self._store.active_ids()
        self._records = {task_id: self._records[task_id] for task_id in active if task_id in self._records}
        self._failed &= set(active)
        self._forget_ended()
        own = [task_id for task_id in active if self._app.manager.get_task(task_id) is not None]
        found = sorted(self._detached(set(active).difference(own)), key=lambda record: record.created)
        for record in found:
            if not self._store.is_owned(record.id) and time.monotonic() >= self._next_attempt:
                self._records.pop(record.id, None)
                self._resume(record)
        for record in reversed(found):  # the newest task of a process ends last
            if record.id in self._records:
                self._watch(record)
        return bool(own or found)

    def _detached(self, task_ids: Iterable[str]) -> Iterator[TaskRecord]:
        """Yield the tasks that outlive their process, unless they wait for a request.

        Only the records of tasks without an owner are read again.
        """
        for task_id in task_ids:
            is_owned = self._store.is_owned(task_id)
            record = self._records.get(task_id) if is_owned else None
            if record is None and task_id not in self._failed:
                record = self._store.open(task_id).load_or_none()
            if record is not None and fate(record, owner_alive=False) is Fate.RESUME:
                if is_owned:
                    self._records[task_id] = record
                yield record

    def _forget_ended(self) -> None:
        """Forget the resumed tasks that have ended. A record that is gone may be so with its folder."""
        left = [task_id for task_id, app in self._resumed.items() if app.manager.get_task(task_id) is None]
        for task_id in left:
            record = self._store.open(task_id).load_or_none()
            if record is not None and record.state.is_final:
                del self._resumed[task_id]

    def _resume(self, record: TaskRecord) -> None:
        try:
            app = self._app.at_engine_of(record)
            if app.manager.resume(record.id) is not None:
                self._resumed[record.id] = app
                log(f"resumed task {record.id} ({record.state})")
        except OtherEngine as error:
            self._failed.add(record.id)
            log(f"cannot resume task {record.id}: {error.message}")
        except EngineUnreachable as error:
            self._next_attempt = time.monotonic() + _ENGINE_INTERVAL
            log(f"cannot resume task {record.id} yet: {error.message}")
        except (LocalrunError, OSError) as error:
            self._failed.add(record.id)
            log(f"cannot resume task {record.id}: {error}")

    def _watch(self, record: TaskRecord) -> None:
        """Wake up when the task's process releases it: one thread for each process."""
        owner = record.owner
        if owner is None or owner in self._watched:
            return
        self._watched.add(owner)

        def watch() -> None:
            self._store.wait_released(record.id)
            self._watched.discard(owner)
            self._wake.set()

        threading.Thread(target=watch, name=f"watch-{owner.pid}", daemon=True).start()

    def _release(self) -> bool:
        """Release the lock; False if a task has come in the meantime, whose process saw the lock held."""
        os.close(self._descriptor)
        if not self._look():
            return True
        descriptor = supervision.acquire(self._home)
        if descriptor is None:
            return True  # another supervisor has been started
        self._descriptor = descriptor
        write_pid(descriptor)
        return False

    def _end_tasks(self) -> None:
        """Remove the containers of all resumed tasks: their folder was deleted, so no other process would.

        The thread of a task may have ended already, because it could not save the task's record.
        """
        log("the folder was deleted")
        apps = set(self._resumed.values())
        tasks = [(app.manager, task) for app in apps for task in app.manager.get_all_active_tasks()]
        for manager, task in tasks:
            with suppress(LocalrunError, OSError):
                manager.kill(task, grace=0.0)
        self._remove_containers(apps)
        deadline = time.monotonic() + _CLEAN_UP
        for manager, task in tasks:
            manager.wait(task, max(0.0, deadline - time.monotonic()))
        self._remove_containers(apps)  # those that were being created

    def _remove_containers(self, apps: Iterable[App]) -> None:
        for app in apps:
            with suppress(LocalrunError):
                for found in app.engine.find({LABEL_TASK: ""}):
                    if found.labels[LABEL_TASK] in self._resumed:
                        with suppress(LocalrunError):
                            app.engine.remove(found.handle)


def log(message: str) -> None:
    """Write a line to the log of the supervisor, its standard error."""
    with suppress(OSError):
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n")
        sys.stderr.flush()


def truncate_log() -> None:
    """Empty the log once it is too long."""
    with suppress(OSError):
        if os.fstat(2).st_size > _MAX_LOG:
            os.ftruncate(2, 0)


def write_pid(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)


def main(arguments: Sequence[str]) -> None:
    """Run as a process: the arguments are the open lock file and the settings."""
    descriptor = int(arguments[0])
    os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGTERM, _on_sigterm)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})
    write_pid(descriptor)
    truncate_log()
    supervisor = Supervisor(App(decode_settings(arguments[1])), descriptor)
    threading.Thread(target=supervisor.wait_for_signals, name="signals", daemon=True).start()
    supervisor.run()
    _exit()


def _on_sigterm(_number: int, _frame: object) -> None:
    os.write(2, b"stopped by SIGTERM; the next localrun process resumes the tasks\n")
    _exit()


def _exit() -> None:
    """End without waiting for threads. The kernel releases the locks of the tasks."""
    os._exit(0)
