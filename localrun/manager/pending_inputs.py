"""Tasks that wait for inputs, which are uploaded one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from localrun import fs, values
from localrun.admission.wakeup import Wakeup, notify
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array
from localrun.errors import InputsError, Problem, UsageError
from localrun.manager.inputs import missing_inputs
from localrun.manager.kill_request import wakeup_for_kills
from localrun.manager.provisioning import note_received, received_values
from localrun.manager.submission import PreparedTask
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.values.parsing import raise_problems, unknown_input
from localrun.values.region_names import parse_region_name

_INTERVAL = 5.0  # seconds between two checks for kill requests that could not be signalled


class PendingInputs:
    """Holds tasks until their last input arrives, and calls `start` with each then. Thread-safe.

    `kill` is called with a task that another process asked to stop: only the owner can end it. `provision`
    writes the inputs of a task that has all of them. `home` is the folder of the tasks.
    """

    def __init__(
        self,
        start: Callable[[PreparedTask], None],
        kill: Callable[[ActiveTask], None],
        provision: Callable[[ActiveTask, Descriptor, Mapping[str, Any]], None],
        home: Path,
    ) -> None:
        self._start = start
        self._kill = kill
        self._write_inputs = provision
        self._lock = threading.Lock()
        self._waiting: dict[str, PreparedTask] = {}
        self._home = home
        self._watcher: threading.Thread | None = None
        self._wakeup: Wakeup | None = None  # of the watcher
        self._closed = False

    def add(self, prepared: PreparedTask) -> None:
        self.hold(prepared)
        if not prepared.task.record.run_plan.held:
            _note_missing(prepared.task, prepared.missing)

    def hold(self, prepared: PreparedTask) -> None:
        """Keep a task until `pop`, `kill` or `close`."""
        with self._lock:
            if self._watcher is None and not self._closed:
                self._start_watcher()
            elif prepared.task.is_cancelled:
                self._wake()
            self._waiting[prepared.task.id] = prepared

    def _start_watcher(self) -> None:
        wakeup = wakeup_for_kills(self._home)
        watcher = threading.Thread(target=self._watch, args=(wakeup,), name="waiting", daemon=True)
        try:
            watcher.start()
        except BaseException:
            wakeup.close()
            raise
        self._watcher, self._wakeup = watcher, wakeup

    def _watch(self, wakeup: Wakeup) -> None:
        while True:
            with self._lock:
                tasks = [prepared.task for prepared in self._waiting.values()]
                if self._closed or not tasks:
                    self._watcher = self._wakeup = None
                    wakeup.close()
                    return
            for task in tasks:
                if task.is_cancelled:
                    self._kill(task)
            wakeup.wait(_INTERVAL)

    def _wake(self) -> None:
        if self._wakeup is not None:
            notify([self._wakeup.name])

    def pop(self, task_id: str) -> PreparedTask | None:
        with self._lock:
            found = self._waiting.pop(task_id, None)
            if not self._waiting:
                self._wake()
        return found

    def close(self) -> None:
        """Release all tasks: the next process waits for their inputs."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = list(self._waiting.values()), {}
            watcher = self._watcher
            self._wake()
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join()
        for prepared in waiting:
            prepared.lock.release(ended=False)

    def put_input(self, record: TaskRecord, name: str, chunks: Iterable[bytes]) -> TaskRecord:
        """Store the content of an input, and start the task after its last missing input.

        Raises as `receive` and `store`.
        """
        with self.receive(record, name) as path:
            with path.open("xb") as stream:
                stream.writelines(chunks)
            path.chmod(0o644)
            return self.store(record, name, path)

    @contextmanager
    def receive(self, record: TaskRecord, name: str) -> Iterator[Path]:
        """Yield the path of a new file for the content of an input, which is deleted afterwards.

        Raises `UsageError` if the task is not waiting for inputs, and `InputsError` for an unknown name.
        """
        uploads = self._expecting(record, name).task.workspace.uploads
        uploads.mkdir(exist_ok=True)
        with fs.temp_file(uploads / name) as path:
            yield path

    def items_folder(self, record: TaskRecord, name: str) -> Path:
        """Return a folder for the items of an array, which `store` takes when it is complete.

        Raises as `receive`, and `UsageError` if the input is not an array.
        """
        prepared = self._expecting(record, name)
        parameter = prepared.descriptor.inputs.get(name)
        if parameter is None or not isinstance(parameter.type, Array):
            raise UsageError(
                f"input {name!r} is not an array", remedy=f"send it to inputs/{name}", id=record.id
            )
        folder = prepared.task.workspace.uploads / f".{name}.items"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def store(self, record: TaskRecord, name: str, path: Path) -> TaskRecord:
        """Check the file of `receive` and move it to the inputs; start the task if none is missing.

        Raises `InputsError` for an invalid input, which is not stored. An earlier value is kept then.
        """
        prepared = self._expecting(record, name)
        task = prepared.task
        with prepared.guard:
            given = received_values(task)
            missing = _check(prepared, given, name, path)
            target = task.workspace.uploads / name
            if path.is_dir() or target.is_dir():
                fs.remove(target)  # a folder cannot be replaced
            path.replace(target)
            task.emit("note", f"received input {name}", received=name)
            given = received_values(task)
            self._note_received(prepared, given, missing)
            if not missing and self.pop(task.id) is not None:
                self._provision(prepared, given)
        return task.record

    def held(self, record: TaskRecord) -> PreparedTask:
        """Return a held task that was not started. Raises `UsageError`."""
        prepared = self._find(record)
        if prepared is None or not prepared.task.record.run_plan.held:
            raise UsageError(
                f"task {record.short_id} was started already: it is {record.state}", id=record.id
            )
        return prepared

    def _find(self, record: TaskRecord) -> PreparedTask | None:
        with self._lock:
            return self._waiting.get(record.id)

    def _expecting(self, record: TaskRecord, name: str) -> PreparedTask:
        prepared = self._find(record)
        task = None if prepared is None else prepared.task.record
        if prepared is None or task is None or task.run_plan.held or task.state is not TaskState.CREATED:
            message = f"task {record.short_id} is not waiting for inputs: it is {record.state}"
            raise UsageError(message, id=record.id)
        inputs = prepared.descriptor.inputs
        region = parse_region_name(name)
        if name not in inputs and (region is None or region.parameter not in inputs):
            raise_problems([unknown_input(name, prepared.descriptor)])
        return prepared

    def _note_received(
        self, prepared: PreparedTask, given: Mapping[str, Any], missing: Sequence[str]
    ) -> None:
        with suppress(InputsError):  # an earlier value has become invalid, which `_provision` reports
            note_received(prepared.task, values.check(prepared.descriptor, given, missing))
        _note_missing(prepared.task, missing)

    def _provision(self, prepared: PreparedTask, given: Mapping[str, Any]) -> None:
        try:
            self._write_inputs(prepared.task, prepared.descriptor, given)
        except BaseException:
            self.hold(prepared)
            raise
        self._start(prepared)


def _check(prepared: PreparedTask, given: Mapping[str, Any], name: str, path: Path) -> tuple[str, ...]:
    """Return what is missing with the new input. Raises `InputsError` for the problems that it adds."""
    descriptor = prepared.descriptor
    problems = _problems(descriptor, {**given, name: path})
    if problems:
        known = _problems(descriptor, {key: value for key, value in given.items() if key != name})
        # the name of the temporary file means nothing to the client
        added = [replace(one, message=one.message.replace(str(path), f"upload {name!r}")) for one in problems]
        raise_problems([problem for problem in added if problem not in known])
    return missing_inputs(descriptor, {*given, name})


def _problems(descriptor: Descriptor, given: Mapping[str, Any]) -> Sequence[Problem]:
    try:
        values.check(descriptor, given, missing_inputs(descriptor, given))
    except InputsError as error:
        return error.problems
    return ()


def _note_missing(task: ActiveTask, missing: Sequence[str]) -> None:
    task.update(missing=list(missing))
    task.save()
    if missing:
        task.emit("note", f"waiting for inputs: {', '.join(missing)}", missing=list(missing))
