"""The state of a server, shared by all routes."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, WeakKeyDictionary, WeakValueDictionary, ref

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest

from localrun import fs
from localrun.admission import HostSample, sample_host
from localrun.engines.labels import LABEL_TASK
from localrun.errors import EngineError
from localrun.server.appengine.service import AppEngine
from localrun.server.batches.feed import BatchFeed
from localrun.server.batches.rows import ResultIndexes
from localrun.server.batches.runs import BatchRuns
from localrun.server.broadcast import Broadcaster
from localrun.server.bundle_store import BundleStore
from localrun.server.config import ServerOptions
from localrun.server.feed.event_feed import EventFeed
from localrun.server.feed.folder_follower import FolderFollower
from localrun.server.feed.task_feed import TaskFeed
from localrun.server.image_cache import ImageCache
from localrun.server.journal import Journal, TaskEventListener
from localrun.server.listing.index import TaskIndex
from localrun.server.logs.pages import LogPages
from localrun.server.metrics import Metrics
from localrun.server.page.assets import PageAssets
from localrun.server.page.sessions import Sessions
from localrun.server.request_limits import RequestLimits
from localrun.server.request_log import RequestLog
from localrun.task import supervision
from localrun.task.events import Event
from localrun.task.states import TaskState

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.manager.request import Request
    from localrun.server.task_system.project_tasks import ProjectTasks
    from localrun.task.active import ActiveTask
    from localrun.task.record import TaskRecord

_TAIL = 16 * 1024  # bytes at the end of the events of a task to search for the reason of waiting
_MAX_AGE = 1.0  # seconds to reuse a sample of the host or the status of the engine
_WAITING = frozenset({TaskState.CREATED, TaskState.QUEUING})

_journals: WeakKeyDictionary[App, ReferenceType[Journal]] = WeakKeyDictionary()


def get_journal(app: App) -> Journal:
    """Return the journal of an app, which records all tasks from the first call on.

    Raises `LocalrunError` if its folder is not writable.
    """
    known = _journals.get(app)
    journal = known() if known is not None else None  # a strong reference would keep the app alive
    if journal is None:
        journal = Journal(app.settings.logs)
        _journals[app] = ref(journal)
        app.manager.subscribe(TaskEventListener(journal))  # which keeps the journal as long as the app
    return journal


class ServerState:
    """The objects of one server. Call `start` before the first request."""

    def __init__(self, app: App, options: ServerOptions) -> None:
        self.app = app
        self.journal = get_journal(app)
        self.options = options
        self.request_log = RequestLog(self.journal)
        if options.token:
            self.journal.add_secret(options.token)
        self.broadcaster = Broadcaster()
        self.images = ImageCache()
        self.limits = RequestLimits()
        self.page = PageAssets()
        self.project_tasks: ProjectTasks | None = None
        self.sessions = Sessions(options.token)
        self.logs = LogPages()
        self.feed = EventFeed()
        self.task_feed = TaskFeed(self.feed, app.manager.find_task)
        self.index = TaskIndex(app, self.task_feed.publish_removal)
        self.metrics = Metrics(
            app,
            lambda: (task.record for task in self.index.tasks()),
            self.engine_status,
            lambda: self.batches.all_fields(),  # noqa: PLW0108 - they are made later
        )
        self.follower = FolderFollower(app, self.feed, self.task_feed, self.index.tasks)
        # by id, for the event loop; a lock exists only while a request uses it
        self.task_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        home = app.settings.home
        self.bundle_store = BundleStore(
            options.bundles,
            home / "bundles",
            cache=app.settings.cache,
            limit=options.upload_limit,
            home=home,
            logs=app.settings.logs,
            others=lambda: [task.bundle for task in self.app_engine.tasks.all()],
        )
        self.result_indexes = ResultIndexes()
        self.batch_feed = BatchFeed(self.feed, self.journal)
        self.batches = BatchRuns(app, self.bundle_store, self.batch_feed.on_change, options.clusters)
        self.batch_feed.runs = self.batches
        self.app_engine = AppEngine(
            app,
            self.request_log,
            self.bundle_store.find_file,
            self._supervised,
            upload_limit=options.upload_limit,
        )
        self._lock = threading.Lock()
        self.is_started = False
        self._cache: dict[str, tuple[float, Any]] = {}  # the time of expiry and the value

    def start(self) -> None:
        """Recover the tasks of earlier processes, once. Blocks during requests to the engine."""
        with self._lock:
            if not self.is_started:
                self.is_started = True
                self.app.manager.subscribe(self._publish)
                self.app.manager.subscribe(self.metrics.on_event)
                self.journal.subscribe(self._publish_line)
                if self.options.adopts:
                    supervision.stop(self.app.settings.home)  # its tasks are resumed here
                    self.app.recover()
                    self.app_engine.start()
                    self.batches.recover()
                    self.app.supervise_others()

    def _publish(self, event: Event) -> None:
        self.broadcaster.publish(event)
        self.task_feed.publish(event)
        if event.kind == "state":
            self.follower.wake()

    def _publish_line(self, line: bytes) -> None:
        self.feed.publish("journal", line.rstrip, is_journal=True)

    def close(self) -> None:
        """End all streams, on shutdown. Can be called in the event loop only."""
        self.broadcaster.close()
        self.feed.close()

    def get_record(self, task_id: str) -> TaskRecord:
        """Return the record of an active or ended task. Raises `HTTPException` 404 if there is none."""
        record = self.app.manager.find_task(task_id)
        if record is None:
            raise HTTPException(404, f"Task {task_id} not found")
        return record

    def is_ended(self, task_id: str) -> bool:
        """Return whether a task has ended or was deleted."""
        record = self.app.manager.find_task(task_id)
        return record is None or record.state.is_final

    async def create(self, task_id: str, payload: Mapping[str, Any], assigned_by: str) -> ActiveTask:
        """Create a task, in a thread if a bundle has to be read from disk."""
        if "bundle" in payload or "image" in payload:
            return await anyio.to_thread.run_sync(self.create_now, task_id, payload, assigned_by)
        return self.create_now(task_id, payload, assigned_by)

    def create_now(self, task_id: str, payload: Mapping[str, Any], assigned_by: str) -> ActiveTask:
        """Create a task. Blocks while a bundle is read."""
        task = self.app.manager.create_task(
            payload,
            assigned_by,
            task_id=task_id,
            find_bundle=self.bundle_store.find_bundle,
            find_file=self.bundle_store.find_file,
        )
        return self._supervised(task)

    def submit(self, request: Request) -> ActiveTask:
        """Create a task from a request to the manager. Blocks while a bundle is read."""
        return self._supervised(self.app.manager.submit(request))

    def _supervised(self, task: ActiveTask) -> ActiveTask:
        if self.options.on_exit == "leave" and task.record.kind != "manual":
            self.app.supervise()  # also if this process is killed
        return task

    def remove(self, record: TaskRecord) -> None:
        """Delete an ended task. Raises `UsageError` if it is active or a replica."""
        self.index.tasks()
        self.app.remove(record.id)
        self.index.tasks()  # publishes that it is gone

    @property
    def active_count(self) -> int:
        return self.app.manager.get_status()["active_tasks_count"]

    @property
    def running_count(self) -> int:
        return self._count(TaskState.PENDING, TaskState.RUNNING)

    @property
    def waiting_count(self) -> int:
        """The number of tasks of this process that wait for admission, or for outputs of other tasks."""
        return self._count(TaskState.QUEUING, TaskState.QUEUED)

    def phase_counts(self) -> dict[str, int]:
        """Return the numbers of tasks of this process that run and that wait."""
        return {"running": self.running_count, "waiting": self.waiting_count}

    def _count(self, *states: TaskState) -> int:
        return sum(task.record.state in states for task in self.app.manager.get_all_active_tasks())

    def waiting_reason(self, record: TaskRecord) -> str:
        """Return what a task waits for, or an empty string if it does not wait."""
        if record.kind == "manual" or record.state not in _WAITING:
            return ""
        path = self.app.store.open(record.id).path / "events.jsonl"
        try:
            with fs.open_regular(path) as stream:
                stream.seek(max(0, path.stat().st_size - _TAIL))
                lines = stream.read().splitlines()
        except OSError:
            return ""
        return next((text for line in reversed(lines) if (text := _reason(line))), "")

    def host_sample(self) -> HostSample:
        """Return the usage of the host, at most one second old."""
        found: HostSample = self._cached("host", lambda: sample_host([self.app.settings.home.parent]))
        return found

    def engine_status(self) -> dict[str, Any]:
        """Return whether the engine answers, at most one second old. Blocks."""
        return dict(self._cached("engine", self._query_engine))

    def _query_engine(self) -> dict[str, Any]:
        try:
            info = self.app.engine.info()
            self.app.engine.find({LABEL_TASK: "-"})  # `info` may be cached; this is not
        except EngineError as error:
            return {"available": False, "error": error.message, "remedy": error.remedy}
        return {"available": True, "name": info.name, "version": info.version}

    def _cached(self, key: str, compute: Callable[[], Any]) -> Any:
        expires, value = self._cache.get(key, (0.0, None))
        if time.monotonic() >= expires:
            value = compute()
            self._cache[key] = (time.monotonic() + _MAX_AGE, value)
        return value


def _reason(line: bytes) -> str:
    try:
        event = json.loads(line)
        data = event["data"]
        return str(event["message"]) if data.get("waiting") or data.get("missing") else ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


def get_state(request: HttpRequest) -> ServerState:
    state = request.app.state.server
    assert isinstance(state, ServerState)
    return state
