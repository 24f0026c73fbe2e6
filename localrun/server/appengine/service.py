"""The tasks, runs and stores of App Engine's API, on top of the task manager."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from localrun import fs
from localrun.copying import DiskLimit, copy_file, copy_tree
from localrun.errors import TaskNotFound, UsageError
from localrun.manager.defaults import with_defaults
from localrun.manager.request import Request
from localrun.manager.submission import PreparedTask
from localrun.server import temp_folders
from localrun.server.appengine.app_stores import AppStores
from localrun.server.appengine.errors import (
    AppEngineError,
    invalid_number,
    invalid_state,
    run_not_found,
    task_not_found,
)
from localrun.server.appengine.objects import state_name
from localrun.server.appengine.runs import AppEngineRun, RunStore
from localrun.server.appengine.uploaded_tasks import UploadedTask, UploadedTasks
from localrun.server.request_log import RequestLog
from localrun.settings.model import NO_DEFAULTS
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord

if TYPE_CHECKING:
    from localrun.app import App

ASSIGNED_BY = "app-engine"
_FORM = "form"
_MINUTE = 60.0


class AppEngine:
    """What the routes of App Engine's API work with. Thread-safe; its methods block.

    `find_file` returns a file that clients may name, or raises `InputsError`. `supervised` is called with
    each task that was created. Bundles have at most `upload_limit` bytes.
    """

    def __init__(
        self,
        app: App,
        request_log: RequestLog,
        find_file: Callable[[str], Path],
        supervised: Callable[[ActiveTask], object] = lambda _: None,
        *,
        upload_limit: int = 8 * 1024**3,
    ) -> None:
        folder = app.settings.home / "appengine"
        self._incoming = folder / "incoming"
        self.app = app
        self.manager = app.manager
        self.request_log = request_log
        self.tasks = UploadedTasks(folder / "tasks")
        self.runs = RunStore(folder / "runs")
        self.stores = AppStores(folder / "stores.json")
        self.upload_limit = upload_limit
        self.find_file = find_file
        self._supervised = supervised
        self._reopening = threading.Lock()

    def start(self) -> None:
        """Finish what processes that died have left: partial uploads, and deletions."""
        self.tasks.start()
        if self._incoming.is_dir():
            temp_folders.remove_abandoned(self._incoming, _FORM)
        runs = self.runs.all()  # before the tasks: another server may add a task and its run at any time
        known = {task.id for task in self.tasks.all()}
        for run in runs:
            if run.task_id not in known:
                self._remove_tasks_of(run)
                self.runs.remove(run)
            elif run.deleted is not None:
                self._remove_tasks_of(run)
            else:
                self._restore(run)
        self._remove_strays({task_id for run in runs for task_id in run.localrun_ids})

    def _remove_strays(self, known: Container[str]) -> None:
        """Delete the tasks of this process that were created for a run, which does not have them."""
        for task in self.manager.get_all_active_tasks():
            record = task.record
            if record.run_plan.held and record.assigned_by == ASSIGNED_BY and record.id not in known:
                self._remove_task(record.id)

    def _restore(self, run: AppEngineRun) -> None:
        """Delete partial inputs, and what was never created or was deleted with `localrun rm`."""
        found = [task_id for task_id in run.localrun_ids if self.app.store.find(task_id) is not None]
        if not found:
            if time.time() - run.created > _MINUTE:  # another server may be about to create its task
                self.runs.remove(run)
            return
        if run.localrun_id != found[-1]:
            self.runs.set_attempts(run, [task_id for task_id in found if task_id != run.id])
        if self.manager.get_task(found[-1]) is not None:  # no other server writes to it
            fs.remove(self.app.store.open(found[-1]).uploads)

    @contextmanager
    def receiving(self) -> Iterator[Path]:
        """Yield a folder for the files of a form, which is deleted afterwards."""
        with fs.wrap_os_errors(self._incoming):
            self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        with temp_folders.locked(self._incoming, _FORM) as folder:
            yield folder

    # -- tasks -----------------------------------------------------------------------------------

    def get_task(self, task_id: str) -> UploadedTask:
        """Return a task by its id. Raises `AppEngineError`."""
        found = self.tasks.get(check_id(task_id))
        if found is None:
            raise task_not_found()
        return found

    def find_task(self, namespace: str, version: str) -> UploadedTask:
        """Return a task by its namespace and version. Raises `AppEngineError`."""
        found = self.tasks.find(namespace, version)
        if found is None:
            raise task_not_found()
        return found

    def remove_task(self, task: UploadedTask) -> None:
        """Delete a task with its runs, which are stopped."""
        runs = self.runs.of_task(task.id)
        self.tasks.remove(task)
        for run in runs:
            self._remove_tasks_of(run)
            self.runs.remove(run)

    # -- runs ------------------------------------------------------------------------------------

    def create_run(self, task: UploadedTask) -> AppEngineRun:
        """Create a run, which waits for its inputs and its start.

        Raises `AppEngineError` 404 if the task has no inputs, as App Engine does.
        """
        if not task.descriptor.inputs:
            raise task_not_found()
        run = self.runs.create(task.id)  # first: a run without a localrun task is dropped by `start`
        try:
            self._submit(task, run.id)
        except BaseException:
            self.runs.remove(run)
            raise
        return run

    def _submit(self, task: UploadedTask, task_id: str, rerun_of: str = "") -> ActiveTask:
        # the inputs of a run come from its client
        options = with_defaults({"profile": "bundle"}, self.app.settings) | {"default_inputs": NO_DEFAULTS}
        own = {"held": True, "detached": True, "reuse": "no", "assigned_by": ASSIGNED_BY}
        made = self.manager.submit(
            Request(task.bundle, **{**options, **own, "rerun_of": rerun_of}), task_id=task_id
        )
        self._supervised(made)
        return made

    def held(self, run: AppEngineRun) -> PreparedTask:
        """Return the localrun task of a run that was not started. Raises `AppEngineError`."""
        try:
            return self.manager.held.get(run.localrun_id)
        except TaskNotFound:
            raise (run_not_found() if run.deleted is None else invalid_state()) from None
        except UsageError:
            raise invalid_state() from None

    def reopen(self, run_id: str) -> PreparedTask:
        """Return the localrun task of a run that was not started, or a new one with the same inputs.

        The former one stays a task of localrun, and goes on if it is active. Raises `AppEngineError`.
        """
        with suppress(AppEngineError):
            return self.held(self.get_run(run_id))
        with self._reopening:
            run = self.get_run(run_id)
            if run.deleted is not None:
                raise invalid_state()
            before = self.get_record(run)
            if before.run_plan.held and not before.state.is_final:
                return self.held(run)
            made = self._submit(self.task_of(run), str(uuid.uuid4()), rerun_of=before.id)
            try:
                source, limit = self.app.store.open(before.id).inputs, DiskLimit(self.app.settings.disk_stop)
                with fs.wrap_os_errors(made.workspace.path):
                    copy_tree(source, made.workspace.inputs, copy=partial(copy_file, limit=limit))
                self.manager.held.note(made.id, before.missing, before.received or before.inputs)
                # last: until then the run shows the former task, and `start` drops one that is not of a run
                self.runs.set_attempts(run, (*run.attempts, made.id))
            except BaseException:
                self._remove_task(made.id)
                raise
            return self.manager.held.get(made.id)

    def get_run(self, run_id: str) -> AppEngineRun:
        """Return a run by its id, also a deleted one. Raises `AppEngineError`."""
        run = self.runs.get(check_id(run_id))
        if run is None or (run.deleted is None and self.find_record(run) is None):
            raise run_not_found()
        return run

    def task_of(self, run: AppEngineRun) -> UploadedTask:
        """Return the task of a run. Raises `AppEngineError`."""
        return self.get_task(run.task_id)

    def find_record(self, run: AppEngineRun) -> TaskRecord | None:
        """Return the record of the localrun task of a run; None if it was deleted."""
        return self.manager.find_task(run.localrun_id)

    def get_record(self, run: AppEngineRun) -> TaskRecord:
        """Return the record of the localrun task of a run. Raises `AppEngineError` if it was deleted."""
        record = self.find_record(run)
        if record is None:
            raise run_not_found()
        return record

    def state_of(self, run: AppEngineRun) -> str:
        """Return the state of a run, as App Engine names it."""
        return run.deleted or state_name(self.get_record(run))

    def runs_of(self, task: UploadedTask) -> list[AppEngineRun]:
        """Return the runs of a task, oldest first, also deleted ones."""
        runs = self.runs.of_task(task.id)
        return [run for run in runs if run.deleted is not None or self.find_record(run) is not None]

    def remove_run(self, run: AppEngineRun) -> None:
        """Stop a run, and delete its files. It stays readable with its state."""
        if run.deleted is None:
            self.runs.mark_deleted(run, self.state_of(run))
            self._remove_tasks_of(run)

    def _remove_tasks_of(self, run: AppEngineRun) -> None:
        for task_id in run.localrun_ids:
            self._remove_task(task_id)

    def _remove_task(self, task_id: str) -> None:
        record = self.manager.find_task(task_id)
        if record is None:
            return
        with suppress(UsageError):  # it has ended by itself
            if not record.state.is_final:
                self.app.kill(task_id, grace=0)
        self.app.remove(task_id)


def check_id(text: str) -> str:
    """Return a UUID in lower case. Raises `AppEngineError` if it is not one."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        raise invalid_number() from None
    if len(text) != 36:
        raise invalid_number()
    return str(found)
