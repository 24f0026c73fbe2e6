"""Rows that run as tasks on this machine."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from queue import Empty, SimpleQueue

from msgspec.structs import replace

from localrun import fs
from localrun.admission.queue import requested_amount
from localrun.app import App
from localrun.batch.backend import RowResult, result_of
from localrun.batch.identity import image_identity
from localrun.batch.rows import Row
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.reader import Bundle
from localrun.descriptor import Descriptor
from localrun.engines.base import Warn, no_warning
from localrun.errors import (
    BundleError,
    Cause,
    DescriptorError,
    ImageError,
    InputsError,
    LocalrunError,
    TaskKilled,
)
from localrun.manager.request import ReadBundle, Request
from localrun.manager.workers import in_parallel
from localrun.settings.options import PullPolicy
from localrun.task.events import Event
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.workspace import Workspace

_SPARE = 2  # tasks that are ready to start when others end
_MOST_SLOTS = 256  # tasks that wait or run; admission decides how many of them run


class LocalBackend:
    """The backend of this machine's task manager.

    `request` has the bundle, the options and the inputs that all rows share. `warn` receives the
    warnings of building or pulling the image.
    """

    def __init__(self, app: App, request: Request, jobs: int | None = None, warn: Warn = no_warning) -> None:
        self.slots = jobs or _SPARE  # `prepare` knows more
        self._jobs, self._warn = jobs, warn
        self._app = app
        self._request = request.replace(detached=True)
        self._ended: SimpleQueue[RowResult | LocalrunError] = SimpleQueue()
        self._lock = threading.Lock()
        self._in_flight: set[str] = set()
        self._grace: float | None = None
        self._cancelled = False

    def prepare(self, bundle: Bundle) -> str:
        request, settings = self._request, self._app.settings
        found = ensure_image(
            bundle.image,
            self._app.engine,
            cache=settings.cache,
            pull=request.pull,
            platform=request.platform,
            check_cancelled=self._check_cancelled,
            warn=self._warn,
        )
        pull: PullPolicy = "missing" if request.pull == "always" else request.pull  # once for all rows
        self._request = request.replace(pull=pull, read=ReadBundle(bundle, found))
        self.slots = self._jobs or min(self._running_at_once(bundle.descriptor) + _SPARE, _MOST_SLOTS)
        return image_identity(bundle.image, settings.cache) or found.id

    def _running_at_once(self, descriptor: Descriptor) -> int:
        """Return how many rows fit into this machine at a time."""
        total = self._app.runner.admission.capacity.amount
        needed = requested_amount(self._request.resources(descriptor))
        rows = (has / takes for has, takes in zip(total, needed, strict=True) if takes)
        return int(min(rows, default=_MOST_SLOTS))

    def _check_cancelled(self) -> None:
        if self._cancelled:
            raise TaskKilled("stopped before the first row started", remedy="run it again")

    def start(self, row: Row, attempt: int) -> None:
        adopted, attempt = self._adopt(row, attempt)
        if adopted is not None:
            self._watch(row, adopted)
            return
        task_id = row.task_id(attempt)
        try:
            task = self._app.manager.submit(row.request(self._request), self._on_event, task_id=task_id)
        except (BundleError, DescriptorError, ImageError, InputsError, TaskKilled) as error:
            is_killed = self._cancelled or isinstance(error, TaskKilled)
            self._ended.put(killed(row) if is_killed else refused(row, error))
            return
        if task.reused:
            self._ended.put(result_of(row, task.record, reused=True))
        else:
            self._watch(row, task_id, task.not_reused)

    def _on_event(self, event: Event) -> None:
        """Stop the download of an input, for which `start` waits."""
        if event.kind == "progress" and self._cancelled:
            raise TaskKilled("the task was stopped on request")

    def _adopt(self, row: Row, attempt: int) -> tuple[str | None, int]:
        """Return the task that is or was this attempt, or an earlier one which finished or runs, or None.

        Also returns the attempt to start else: a later one if the task of this one was killed, because its
        batch was stopped before it could say so.
        """
        last = attempt
        while self._app.store.find(row.task_id(last + 1)) is not None:
            last += 1
        free = last + 1
        for number in range(last, 0, -1):
            workspace = self._app.store.find(row.task_id(number))
            record = None if workspace is None else workspace.load_or_none()
            if workspace is not None and (record is None or record.state is TaskState.CREATED):
                self._discard(workspace)
                workspace = None
            if workspace is None:
                free = max(number, attempt)
            elif record is not None and _is_adopted(record, number >= attempt):
                return record.id, attempt
        return None, free

    def _discard(self, workspace: Workspace) -> None:
        """Delete a task whose process died before it had written the inputs."""
        store = self._app.store
        lock = store.acquire(workspace.id)
        if lock is None and store.is_active(workspace.id):  # another process waits for its inputs
            self._app.manager.kill_task(workspace.id)
            store.wait_released(workspace.id)
        store.remove(workspace, lock)

    def _watch(self, row: Row, task_id: str, not_reused: tuple[str, ...] = ()) -> None:
        with self._lock:
            self._in_flight.add(task_id)
        name = f"row-{row.number}"
        thread = threading.Thread(target=self._await, args=(row, task_id, not_reused), name=name, daemon=True)
        try:
            thread.start()
        except BaseException:
            with self._lock:
                self._in_flight.discard(task_id)
            self._kill(task_id)
            raise
        if self._cancelled:
            self._kill(task_id)

    def _await(self, row: Row, task_id: str, not_reused: tuple[str, ...]) -> None:
        message = f"internal error: the end of row {row.number} (task {task_id}) is unknown"
        found: RowResult | LocalrunError = LocalrunError(
            message, remedy="this is a bug in localrun; report it"
        )
        try:
            found = replace(result_of(row, self._end_of(task_id)), not_reused=not_reused)
        except LocalrunError as error:
            found = error
        except OSError as error:
            found = fs.write_error(self._app.store.path, error)
        finally:
            with self._lock:
                self._in_flight.discard(task_id)
            self._ended.put(found)

    def _end_of(self, task_id: str) -> TaskRecord:
        """Wait for the end of a task, which this process or another one owns, or none any more."""
        record = self._app.manager.wait_for(task_id)
        if record is None or not record.state.is_final:
            record = self._app.wait(task_id)
        if not record.state.is_final:
            raise LocalrunError(
                f"task {record.short_id} is {record.state}, and no process can continue it",
                remedy=f"stop it with `localrun kill {record.short_id}`, and resume the batch",
            )
        return record

    def next(self, timeout: float | None = None) -> RowResult | None:
        try:
            found = self._ended.get(timeout != 0, timeout)
        except Empty:
            return None
        if isinstance(found, LocalrunError):
            raise found
        return found

    def states(self) -> Mapping[str, int]:
        with self._lock:
            in_flight = set(self._in_flight)
        active = self._app.manager.get_all_active_tasks()
        return Counter(str(task.record.state) for task in active if task.id in in_flight)

    def nodes(self) -> Mapping[str, int]:
        return {}

    def cancel(self, grace: float | None = None) -> None:
        self._cancelled, self._grace = True, grace
        with self._lock:
            running = list(self._in_flight)
        in_parallel(self._kill, running)

    def _kill(self, task_id: str) -> None:
        try:
            self._app.manager.kill_task(task_id, self._grace)
            self._app.manager.wait_for(task_id)
        except LocalrunError as error:
            self._ended.put(error)

    def close(self) -> None:
        """Do nothing: the app belongs to the caller."""


def _is_adopted(record: TaskRecord, is_current: bool) -> bool:
    """Return whether a task is the attempt of a row. A killed one is not, since its batch was stopped."""
    if record.state is TaskState.FAILED:
        return is_current
    return record.state is not TaskState.KILLED


def refused(row: Row, error: LocalrunError) -> RowResult:
    """Return the result of a row without a task."""
    message = "; ".join([error.message, *map(str, error.problems)])
    return RowResult(row, TaskState.FAILED, cause=str(error.cause), message=message)


def killed(row: Row) -> RowResult:
    """Return the result of a row that was stopped before it had a task."""
    message = "the row was stopped on request"
    return RowResult(row, TaskState.KILLED, cause=Cause.KILLED.name, message=message)
