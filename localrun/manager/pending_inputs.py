"""Tasks that wait for inputs, which are uploaded one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from localrun.errors import InputsError, Problem, UsageError
from localrun.manager.submission import PreparedTask, provision, received_values
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
from localrun.values.region_names import parse_region_name

_INTERVAL = 0.5  # seconds between two checks for kill requests of other processes


class PendingInputs:
    """Holds tasks until their last input arrives, and calls `start` with each then. Thread-safe.

    `kill` is called with a task that another process asked to stop: only the owner can end it.
    """

    def __init__(self, start: Callable[[PreparedTask], None], kill: Callable[[ActiveTask], None]) -> None:
        self._start = start
        self._kill = kill
        self._lock = threading.Lock()
        self._waiting: dict[str, PreparedTask] = {}
        self._watcher: threading.Thread | None = None
        self._closed = False
        self._wake = threading.Event()  # closed, or no task is waiting

    def add(self, prepared: PreparedTask) -> None:
        self._hold(prepared)
        missing = list(prepared.missing)
        prepared.task.emit("note", f"waiting for inputs: {', '.join(missing)}", missing=missing)

    def _hold(self, prepared: PreparedTask) -> None:
        with self._lock:
            self._waiting[prepared.task.id] = prepared
            if self._watcher is None and not self._closed:
                self._wake.clear()
                self._watcher = threading.Thread(target=self._watch, name="waiting", daemon=True)
                self._watcher.start()

    def _watch(self) -> None:
        while True:
            self._wake.wait(_INTERVAL)
            with self._lock:
                tasks = [prepared.task for prepared in self._waiting.values()]
                if self._closed or not tasks:
                    self._watcher = None
                    return
                self._wake.clear()
            for task in tasks:
                if task.is_cancelled:
                    self._kill(task)

    def pop(self, task_id: str) -> PreparedTask | None:
        with self._lock:
            found = self._waiting.pop(task_id, None)
            if not self._waiting:
                self._wake.set()
        return found

    def close(self) -> None:
        """Release all tasks: the next process waits for their inputs."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = list(self._waiting.values()), {}
            watcher = self._watcher
            self._wake.set()
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join()
        for prepared in waiting:
            prepared.lock.release(ended=False)

    def put_input(self, record: TaskRecord, name: str, chunks: Iterable[bytes]) -> TaskRecord:
        """Store the content of an input, and start the task after its last missing input.

        Raises `UsageError` if the task is not waiting for inputs, and `InputsError` for an invalid input,
        which is not stored.
        """
        with self._lock:
            prepared = self._waiting.get(record.id)
        if prepared is None:
            message = f"task {record.short_id} is not waiting for inputs: it is {record.state}"
            raise UsageError(message, id=record.id)
        region = parse_region_name(name)
        if name not in prepared.descriptor.inputs and (
            region is None or region.parameter not in prepared.descriptor.inputs
        ):
            expected = f"expected one of: {', '.join(prepared.descriptor.inputs)}"
            problem = Problem(f"inputs.{name}", "unknown input", expected)
            raise InputsError("invalid inputs (1 problem)", problems=[problem])
        path = prepared.task.workspace.save_upload(name, chunks)
        try:
            self._start_if_complete(prepared)
        except InputsError:
            path.unlink(missing_ok=True)
            raise
        return prepared.task.record

    def _start_if_complete(self, prepared: PreparedTask) -> None:
        received = received_values(prepared.task)
        if set(prepared.missing) - set(received) or self.pop(prepared.task.id) is None:
            return
        try:
            provision(prepared.task, prepared.descriptor, received, disk_limit=prepared.disk_limit)
        except BaseException:
            self._hold(prepared)
            raise
        self._start(prepared)
