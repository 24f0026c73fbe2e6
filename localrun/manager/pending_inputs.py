"""Tasks that wait for inputs, which come one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from localrun.errors import InputsError, Problem, UsageError
from localrun.manager.submission import PreparedTask, provision, received_values
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord

_LOOK = 0.5  # seconds between two looks whether another process wants one of them stopped


class PendingInputs:
    """Keeps tasks until their last input is there; `start` is called with each then. Thread-safe.

    `kill` is called with one that another process wants to be stopped: nobody else can do it.
    """

    def __init__(self, start: Callable[[PreparedTask], None], kill: Callable[[ActiveTask], None]) -> None:
        self._start = start
        self._kill = kill
        self._lock = threading.Lock()
        self._waiting: dict[str, PreparedTask] = {}
        self._watcher: threading.Thread | None = None
        self._closed = False
        self._wake = threading.Event()  # closed, or nobody waits any more

    def add(self, ready: PreparedTask) -> None:
        """A task with inputs missing."""
        self._keep(ready)
        ready.task.emit(
            "note", f"waiting for inputs: {', '.join(ready.missing)}", missing=list(ready.missing)
        )

    def _keep(self, ready: PreparedTask) -> None:
        with self._lock:
            self._waiting[ready.task.id] = ready
            if self._watcher is None and not self._closed:
                self._wake.clear()
                self._watcher = threading.Thread(target=self._watch, name="waiting", daemon=True)
                self._watcher.start()

    def _watch(self) -> None:
        while True:
            self._wake.wait(_LOOK)
            with self._lock:
                tasks = [ready.task for ready in self._waiting.values()]
                if self._closed or not tasks:
                    self._watcher = None
                    return
                self._wake.clear()
            for task in tasks:
                if task.is_cancelled:
                    self._kill(task)

    def pop(self, task_id: str) -> PreparedTask | None:
        """A task that shall wait no longer, if it does."""
        with self._lock:
            found = self._waiting.pop(task_id, None)
            if not self._waiting:
                self._wake.set()
        return found

    def close(self) -> None:
        """Wait no longer: the tasks go on waiting on disk, for the next process."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = list(self._waiting.values()), {}
            watcher = self._watcher
            self._wake.set()
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join()
        for ready in waiting:
            ready.lock.release(ended=False)

    def put_input(self, record: TaskRecord, name: str, chunks: Iterable[bytes]) -> TaskRecord:
        """Take the content of an input, and start the task when it was the last one missing.

        Raises `UsageError` when the task waits for none, and `InputsError` when what came does not fit;
        it is not kept then.
        """
        with self._lock:
            ready = self._waiting.get(record.id)
        if ready is None:
            raise UsageError(f"the task waits for no inputs: it is {record.state}", id=record.id)
        if name not in ready.descriptor.inputs:
            names = ", ".join(ready.descriptor.inputs)
            problem = Problem(f"inputs.{name}", "is no input of the task", f"its inputs are {names}")
            raise InputsError("an input does not fit", problems=[problem])
        sent = ready.task.workspace.save_upload(name, chunks)
        try:
            self._go_on(ready)
        except InputsError:
            sent.unlink(missing_ok=True)
            raise
        return ready.task.record

    def _go_on(self, ready: PreparedTask) -> None:
        given = received_values(ready.task)
        if set(ready.missing) - set(given) or self.pop(ready.task.id) is None:
            return
        try:
            provision(ready.task, ready.descriptor, given)
        except BaseException:
            self._keep(ready)
            raise
        self._start(ready)
