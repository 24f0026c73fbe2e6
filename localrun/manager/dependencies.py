"""Tasks that wait for outputs of other tasks of any process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from localrun.errors import LocalrunError
from localrun.manager.pending_inputs import PendingInputs
from localrun.manager.provisioning import note_waiting
from localrun.manager.submission import PreparedTask
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState

_PAUSE = 2.0  # seconds until a task that no process owns, or whose engine is away, is looked at again


class Dependencies:
    """Holds tasks until all outputs that they need are there, or one will not come. Thread-safe.

    `start` is called with such a task then. It may be called in the thread of a task that has ended, so it
    must return at once. The end of a task of this process is reported with `ended`. Another task is awaited
    with `wait`, which blocks, in one thread for each such task, however many wait for it. `find` returns the
    record of a task, or None.
    """

    def __init__(
        self,
        pending: PendingInputs,
        start: Callable[[PreparedTask], None],
        *,
        find: Callable[[str], TaskRecord | None],
        is_own: Callable[[str], bool],
        wait: Callable[[str], object],
    ) -> None:
        self._pending = pending
        self._start = start
        self._find = find
        self._is_own = is_own
        self._wait = wait
        self._lock = threading.Lock()
        self._needs: dict[str, set[str]] = {}  # waiting task -> the tasks that have not finished
        self._waiting: dict[str, set[str]] = {}  # task -> the tasks that wait for it
        self._followed: set[str] = set()  # tasks that a thread waits for
        self._closed = threading.Event()

    def add(self, prepared: PreparedTask) -> None:
        """Hold a task until its inputs are there. It is started at once if they are."""
        task = prepared.task
        needed = {source.task for source in task.record.needs}
        note_waiting(task)
        self._pending.hold(prepared)  # before the end of another task can start it
        with self._lock:
            self._needs[task.id] = set(needed)
            for other in needed:
                self._waiting.setdefault(other, set()).add(task.id)
        try:
            for other in needed:
                self._look(other)
        except BaseException:
            self._pending.pop(task.id)
            self._forget(task.id)
            raise

    def ended(self, record: TaskRecord) -> None:
        """Start the tasks for which this was the last one, and those that need an output it does not have."""
        self._settle(record.id, record)
        self._forget(record.id)  # it waited itself, and was stopped

    def _forget(self, task_id: str) -> None:
        with self._lock:
            for other in self._needs.pop(task_id, ()):
                self._waiting.get(other, set()).discard(task_id)

    def is_waiting(self, task_id: str) -> bool:
        with self._lock:
            return task_id in self._needs

    def close(self) -> None:
        self._closed.set()

    def _settle(self, task_id: str, record: TaskRecord | None) -> None:
        """Note the end of a task; None: it was deleted."""
        finished = record is not None and record.state is TaskState.FINISHED
        with self._lock:
            ready = []
            for waiting in self._waiting.pop(task_id, ()):
                left = self._needs[waiting]
                left.discard(task_id)
                if not left or not finished:
                    ready.append(waiting)
                    for other in self._needs.pop(waiting):
                        self._waiting.get(other, set()).discard(waiting)
        for waiting in ready:
            prepared = self._pending.pop(waiting)
            if prepared is not None:
                self._start(prepared)

    def _look(self, task_id: str) -> None:
        record = self._find(task_id)
        if record is None or record.state.is_final:
            self._settle(task_id, record)
        elif not self._is_own(task_id):
            self._follow(task_id)

    def _follow(self, task_id: str) -> None:
        with self._lock:
            if task_id in self._followed or task_id not in self._waiting:
                return
            threading.Thread(
                target=self._wait_for, args=(task_id,), name=f"needs-{task_id[:8]}", daemon=True
            ).start()
            self._followed.add(task_id)

    def _wait_for(self, task_id: str) -> None:
        while not self._closed.is_set():
            with suppress(LocalrunError, OSError):  # deleted, or its engine does not answer
                self._wait(task_id)
            record = self._find(task_id)
            if record is None or record.state.is_final or self._is_own(task_id):
                break
            self._closed.wait(_PAUSE)
        with self._lock:
            self._followed.discard(task_id)
        if not self._closed.is_set():
            self._look(task_id)
