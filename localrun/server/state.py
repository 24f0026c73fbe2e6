"""What all routes share: the app, the journal's minutes, the library, and the hub."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request

from localrun.admission import HostSample, sample_host
from localrun.engines.labels import LABEL_TASK
from localrun.errors import EngineError
from localrun.server.broadcast import Broadcaster
from localrun.server.bundle_store import BundleStore
from localrun.server.config import ServerOptions
from localrun.server.journal import Journal, TaskEventListener
from localrun.server.keyed_lock import KeyedLock
from localrun.server.request_log import RequestLog
from localrun.task.states import TaskState

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.task.active import ActiveTask
    from localrun.task.record import TaskRecord

_TAIL = 16 * 1024  # bytes of a task's events in which the last note is looked for
_FRESH = 1.0  # seconds that a look at the host or the engine serves
_WAITING = frozenset({TaskState.CREATED, TaskState.QUEUING})


_journals: WeakKeyDictionary[App, Journal] = WeakKeyDictionary()


def get_journal(app: App) -> Journal:
    """Return the journal of an app, which records every task from the first call on.

    Raises `LocalrunError` when its folder cannot be written.
    """
    journal = _journals.get(app)
    if journal is None:
        journal = _journals[app] = Journal(app.settings.logs)
        app.manager.subscribe(TaskEventListener(journal))
    return journal


class ServerState:
    """One server's things. `begin` before the first request; it may be called again."""

    def __init__(self, app: App, options: ServerOptions) -> None:
        self.app = app
        self.journal = get_journal(app)
        self.options = options
        self.request_log = RequestLog(self.journal)
        if options.token:
            self.journal.add_secret(options.token)
        self.broadcaster = Broadcaster()
        self.task_locks = KeyedLock()
        self.bundle_store = BundleStore(
            options.bundles,
            app.settings.home / "bundles",
            cache=app.settings.cache,
            limit=options.upload_limit,
        )
        self._lock = threading.Lock()
        self._begun = False
        self._looked: dict[str, tuple[float, Any]] = {}

    @property
    def is_started(self) -> bool:
        """Whether `begin` was called."""
        return self._begun

    def start(self) -> None:
        """Go on with what an earlier process left, once. Blocks while the engine is asked."""
        with self._lock:
            if not self._begun:
                self._begun = True
                self.app.manager.subscribe(self.broadcaster.publish)
                self.app.recover()

    def get_record(self, task_id: str) -> TaskRecord:
        """A task, active or ended. Answers 404 when there is none."""
        record = self.app.manager.find_task(task_id)
        if record is None:
            raise HTTPException(404, f"Task {task_id} not found")
        return record

    def is_ended(self, task_id: str) -> bool:
        """Whether a task has ended, or is gone."""
        record = self.app.manager.find_task(task_id)
        return record is None or record.state.is_final

    async def create(self, task_id: str, payload: Mapping[str, Any], assigned_by: str) -> ActiveTask:
        """Make a task: a free-form one at once, others in a thread, as bundles are read from disk."""
        if "bundle" in payload or "image" in payload:
            return await anyio.to_thread.run_sync(self._create, task_id, payload, assigned_by)
        return self._create(task_id, payload, assigned_by)

    def _create(self, task_id: str, payload: Mapping[str, Any], assigned_by: str) -> ActiveTask:
        return self.app.manager.create_task(
            payload,
            assigned_by,
            task_id=task_id,
            find_bundle=self.bundle_store.find_bundle,
            find_file=self.bundle_store.find_file,
        )

    @property
    def active_count(self) -> int:
        """How many tasks are active."""
        count: int = self.app.manager.get_status()["active_tasks_count"]
        return count

    def count(self, *states: TaskState) -> int:
        """How many tasks of this process are in one of these states."""
        return sum(task.record.state in states for task in self.app.manager.get_all_active_tasks())

    @property
    def running_count(self) -> int:
        """How many containers of this process run."""
        return self.count(TaskState.PENDING, TaskState.RUNNING)

    @property
    def waiting_count(self) -> int:
        """How many tasks wait for admission."""
        return self.count(TaskState.QUEUING, TaskState.QUEUED)

    def waiting_reason(self, record: TaskRecord) -> str:
        """What a task waits for, in words and numbers; empty when it does not wait."""
        if record.kind == "manual" or record.state not in _WAITING:
            return ""
        path = self.app.store.open(record.id).path / "events.jsonl"
        try:
            with path.open("rb") as stream:
                stream.seek(max(0, path.stat().st_size - _TAIL))
                lines = stream.read().splitlines()
        except OSError:
            return ""
        return next((text for line in reversed(lines) if (text := _reason(line))), "")

    def host_sample(self) -> HostSample:
        """What the machine does, at most a second ago."""
        found = self._fresh("host")
        if found is None:
            found = self._keep("host", sample_host([self.app.settings.home.parent]))
        assert isinstance(found, HostSample)
        return found

    def engine_status(self) -> dict[str, Any]:
        """Whether the engine answers, at most a second ago. Blocks."""
        found = self._fresh("engine")
        if found is None:
            found = self._keep("engine", self._ask_engine())
        return dict(found)

    def _ask_engine(self) -> dict[str, Any]:
        try:
            info = self.app.engine.info()
            self.app.engine.find({LABEL_TASK: "-"})  # what it is may be remembered; that it is there is not
        except EngineError as error:
            return {"available": False, "error": error.message, "remedy": error.remedy}
        return {"available": True, "name": info.name, "version": info.version}

    def _fresh(self, what: str) -> Any:
        when, found = self._looked.get(what, (0.0, None))
        return found if time.monotonic() - when < _FRESH else None

    def _keep(self, what: str, found: Any) -> Any:
        self._looked[what] = (time.monotonic(), found)
        return found


def _reason(line: bytes) -> str:
    try:
        event = json.loads(line)
        data = event["data"]
        return str(event["message"]) if data.get("waiting") or data.get("missing") else ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def get_state(request: Request) -> ServerState:
    """The site that a request came to."""
    site = request.app.state.site
    assert isinstance(site, ServerState)
    return site
