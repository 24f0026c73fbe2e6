"""A node: runs rows with localrun's own task manager, in a folder of tasks of this machine."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from localrun import fs
from localrun._version import __version__
from localrun.admission.host import HostSample, sample_host
from localrun.admission.reasons import host_pressures
from localrun.app import App
from localrun.batch.cluster import folders
from localrun.batch.cluster.content import ContentStore
from localrun.batch.cluster.orders import (
    Answer,
    Ended,
    Failure,
    Lacking,
    Order,
    Refused,
    SentFile,
    SentFolder,
    Unusable,
    Work,
    files_in,
    replace_files,
    unseal,
)
from localrun.errors import Cause, LocalrunError
from localrun.manager.request import Request
from localrun.manager.workers import in_parallel
from localrun.settings.model import NO_DEFAULTS
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.values.reuse.digests import digests_in

_KEPT = 7 * 86400.0  # seconds that files of clients, and results that no client has taken, are kept
_SMALL = 256 * 1024  # bytes of a task's folder that is sent with the answer
# causes of an end that say nothing about the row if its program has not started
_OF_NODE = (Cause.DISK_FULL, Cause.DISK_UNAVAILABLE, Cause.ENGINE_UNREACHABLE, Cause.ENGINE_LOST)
_LACKS = (Cause.CPU_UNAVAILABLE, Cause.MEMORY_UNAVAILABLE, Cause.GPU_UNAVAILABLE)


class NodeFacts(msgspec.Struct, frozen=True):
    """What a client must know about a worker.

    `store` identifies the content store, which the workers of a machine share. `problem` is why its engine
    could not be used when it started.
    """

    name: str
    store: str
    resources: dict[str, float]
    problem: str = ""


class _Run:
    """A row that runs: its task once there is one, and whether it was cancelled."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.task: ActiveTask | None = None
        self.cancelled = False
        self.done = threading.Event()


class ClusterNode:
    """Runs the rows of clients on the engine of this machine. Thread-safe.

    `app` has its own folder of tasks. `name` is for display, `worker` the address of the worker.
    """

    def __init__(self, app: App, name: str, worker: str) -> None:
        self.app = app
        self.name = name
        self.worker = worker
        self.problem = ""
        digests = digests_in(app.settings.cache)
        self.content = ContentStore(app.settings.home / "content", digests, app.settings.disk_stop)
        # tasks of workers with other folders on the same engine have other ids
        self._suffix = "-" + sha256(str(app.settings.home).encode(errors="surrogateescape")).hexdigest()[:8]
        self._keys: dict[str, bytes] = {}  # by session
        self._runs: dict[str, _Run] = {}  # by the key of the cluster
        self._readers: dict[str, folders.ChunkedReader] = {}  # by task
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """End the tasks of dead workers of this machine, and delete what is not needed any more."""
        with suppress(LocalrunError):  # without an engine; each row reports it
            self.app.recover()
        oldest = time.time() - _KEPT
        for record in self._ended():
            if (record.ended or 0.0) < oldest or _is_worthless(record):
                self._remove(record.id)
        self.content.prune(_KEPT)
        self._forget_results()

    def _forget_results(self) -> None:
        """Delete the index of results: the clients have them, and their own index."""
        fs.remove(self.app.settings.home / "reuse")

    def resources(self) -> dict[str, float]:
        """Return what rows can request of this machine, by the name that the cluster uses."""
        try:
            capacity = self.app.runner.admission.capacity
        except LocalrunError as error:
            self.problem = error.message
            return {}
        return {"CPU": capacity.cpus, "MEMORY": capacity.memory, "GPU": capacity.gpus}

    # -- called by clients -----------------------------------------------------------------------

    def open(self, session: str, key: bytes, mounts: tuple[str, ...]) -> tuple[str, ...]:
        """Accept the orders of a client, and return the tasks whose results no client has taken.

        Raises `LocalrunError` if a path to mount does not exist here.
        """
        missing = [path for path in mounts if not os.path.exists(path)]  # noqa: PTH110 - text
        if missing:
            raise LocalrunError(
                f"no such file or folder to mount: {', '.join(missing)}",
                remedy="provide it on the node, which it is not sent to, or pass it as an input",
            )
        self._keys[session] = key
        return tuple(record.id.removesuffix(self._suffix) for record in self._ended())

    def close(self, session: str, grace: float | None = None) -> None:
        """Stop the rows of a client, wait until nothing remains of them, and forget the client."""
        self._keys.pop(session, None)  # a row that is about to start finds no key
        with self._lock:
            keys = [key for key, run in self._runs.items() if run.session == session]
            ended = [self._runs[key] for key in keys]
        in_parallel(lambda key: self.cancel(key, grace), keys)
        for run in ended:
            run.done.wait()
        for run in ended:
            if run.task is not None:
                self._remove(run.task.id)
        self._forget_results()

    def running(self, session: str) -> int:
        """Return how many rows of a client run; its others wait for this machine."""
        with self._lock:
            tasks = [run.task for run in self._runs.values() if run.session == session]
        return sum(task is not None and task.record.state is TaskState.RUNNING for task in tasks)

    def write(self, sent: SentFile, offset: int, data: bytes) -> int:
        """Receive a part of a file; see `ContentStore.write`."""
        return self.content.write(sent, offset, data)

    def read(self, task_id: str, number: int) -> tuple[bytes, str]:
        """Return a chunk of the archive of an ended task, and after the last one its digest."""
        key = task_id + self._suffix
        if number == 0:
            self._readers[key] = self._reader(key)
        reader = self._readers.get(key)
        if reader is None or reader.number != number:
            raise LocalrunError(f"chunk {number} of task {task_id} is not the next one", remedy="start again")
        data, digest = reader.next()
        if digest:
            del self._readers[key]
        return data, digest

    def _reader(self, task_id: str) -> folders.ChunkedReader:
        record = self.app.store.open(task_id).load()
        replicas = record.replication.ids if record.replication is not None else []
        return folders.ChunkedReader(
            folders.pack([self.app.store.open(each).path for each in (*replicas, task_id)])
        )

    def discard(self, task_ids: tuple[str, ...]) -> None:
        """Delete ended tasks whose results a client has taken."""
        for task_id in task_ids:
            self._remove(task_id + self._suffix)

    # -- run rows --------------------------------------------------------------------------------

    def run(self, order: Order, key: str) -> Answer:
        """Run a row to its end, which takes as long as the row, and return what has become of it."""
        run = _Run(order.session)
        with self._lock:
            self._runs[key] = run
        try:
            return self._run(order, run)
        except (LocalrunError, OSError) as error:
            failure = self._failure(error)
            cause = Cause[failure.cause]
            if cause in (*_OF_NODE, *_LACKS):
                return Unusable(self.worker, failure, lasting=cause in _OF_NODE)
            return Refused(failure)
        finally:
            with self._lock:
                del self._runs[key]
            run.done.set()

    def _failure(self, error: LocalrunError | OSError) -> Failure:
        if isinstance(error, LocalrunError):
            return Failure.of(error)
        found = Failure.of(fs.write_error(self.app.settings.home, error))
        return msgspec.structs.replace(found, message=f"node {self.name}: {found.message}")

    def _run(self, order: Order, run: _Run) -> Answer:
        if order.version != __version__:
            raise LocalrunError(
                f"node {self.name} has localrun {__version__}, the client {order.version}",
                remedy="install the same version on both",
                cause=Cause.ENGINE_UNREACHABLE,
            )
        secret = self._keys.get(order.session)
        if secret is None:
            return Lacking(self.worker, session=True)
        task_id = order.task_id + self._suffix
        record = self._existing(task_id)
        if record is None:
            self._check_health()
            work = unseal(secret, order.sealed)
            missing = self._missing(work)
            if missing is not None:
                return missing
            record = self._execute(self._request(work), task_id, run)
        if run.cancelled and _is_worthless(record):
            self._remove(record.id)
            return Refused(Failure("the row was cancelled", Cause.KILLED.name))
        if _is_of_node(record) or self._is_full(record):
            self._remove(record.id)
            failure = Failure(record.message, str(record.cause), record.remedy)
            return Unusable(self.worker, failure, lasting=record.cause != Cause.ENGINE_FAILED.name)
        return self._answer(record)

    def _existing(self, task_id: str) -> TaskRecord | None:
        """Return an ended task, also of another worker of this machine; None if the row must run."""
        store = self.app.store
        while (workspace := store.find(task_id)) is not None:
            store.wait_released(task_id)
            record = workspace.load_or_none()
            if record is not None and record.state.is_final and not _is_worthless(record):
                return record
            with suppress(LocalrunError):
                self.app.recovery.end(task_id)
            lock = store.acquire(task_id)
            store.remove(workspace, lock)
        return None

    def _is_full(self, record: TaskRecord) -> bool:
        """Return whether a task ended because of a disk that is full without its files, too."""
        if record.cause not in (Cause.DISK_PRESSURE.name, Cause.DISK_FULL.name):
            return False
        size = fs.disk_usage(Path(record.folder))
        limit = self.app.settings.disk_stop
        return any(100 * (disk.used - size) / disk.total > limit for disk in self._sample().disks.values())

    def _sample(self) -> HostSample:
        places = [self.app.settings.home.parent, Path(self.app.runner.engine.info().root)]
        return sample_host([place for place in places if place.is_dir()])

    def _check_health(self) -> None:
        """Raise `LocalrunError` if this machine can start no task now. Its tasks would wait for ever."""
        for pressure in host_pressures(self._sample(), self.app.runner.admission.limits, frozenset()):
            if "disk" in pressure.data:
                message = f"node {self.name}: {pressure.reason}"
                remedy = "free disk space on the node"
                raise LocalrunError(message, remedy=remedy, cause=Cause.DISK_FULL)

    def _missing(self, work: Work) -> Lacking | None:
        needed = files_in([work.request.values])
        has_image = bool(work.image) and self.app.engine.find_image(work.image) is not None
        if not has_image and work.bundle is not None:
            needed.append(work.bundle)
        lacking = tuple(dict.fromkeys(sent for sent in needed if self.content.lacks(sent)))
        image = not has_image and work.bundle is None
        return Lacking(self.worker, image=image, files=lacking) if image or lacking else None

    def _request(self, work: Work) -> Request:
        """Return the request with the paths of this machine."""
        request, bundle = work.request, work.bundle
        if work.image and self.app.engine.find_image(work.image) is not None:
            request = request.replace(image=work.image, pull="never")
        elif bundle is not None:
            request = request.replace(bundle=self._path(bundle))
        values = replace_files(request.values, self._path)
        return request.replace(values=values, default_inputs=NO_DEFAULTS)

    def _path(self, sent: Any) -> Any:
        if isinstance(sent, Path):
            return sent
        found = (
            self.content.locate_folder(sent) if isinstance(sent, SentFolder) else self.content.locate(sent)
        )
        if found is None:
            raise LocalrunError(
                f"node {self.name} has lost {sent.path}", remedy="resume the batch", cause=Cause.DISK_FULL
            )
        return found

    def _execute(self, request: Request, task_id: str, run: _Run) -> TaskRecord:
        task = self.app.manager.submit(request, task_id=task_id)
        with self._lock:
            run.task = task
        if run.cancelled:
            self.app.manager.kill(task)
        self.app.manager.wait(task)
        return task.record

    def cancel(self, key: str, grace: float | None = None) -> None:
        """Stop the row that runs under a key of the cluster, if there is one."""
        with self._lock:
            run = self._runs.get(key)
            if run is None:
                return
            run.cancelled = True
            task = run.task
        if task is not None:
            with _ignoring_errors():
                self.app.manager.kill(task, grace)

    def _answer(self, record: TaskRecord) -> Ended:
        reader = self._reader(record.id)
        data, _ = reader.next()
        if len(data) > _SMALL:
            return Ended(self.worker, self.name)
        _, digest = reader.next()
        return Ended(self.worker, self.name, data, digest) if digest else Ended(self.worker, self.name)

    # -- clean up --------------------------------------------------------------------------------

    def _ended(self) -> Iterator[TaskRecord]:
        for workspace in list(self.app.store.newest_first()):
            record = workspace.load_or_none()
            if record is not None and record.state.is_final and record.replica is None:
                yield record

    def _remove(self, task_id: str) -> None:
        self._readers.pop(task_id, None)
        with _ignoring_errors():
            self.app.remove(task_id)

    def shut_down(self, grace: float) -> None:
        """Stop all rows, and disconnect."""
        with self._lock:
            keys = list(self._runs)
        with _ignoring_errors():
            in_parallel(lambda key: self.cancel(key, grace), keys)
            self.app.close(on_exit="kill")
        self.content.close()


@contextmanager
def _ignoring_errors() -> Iterator[None]:
    """Ignore an error of the block: what remains is cleaned up when the next worker starts."""
    try:
        yield
    except (LocalrunError, OSError):
        return


def _is_worthless(record: TaskRecord) -> bool:
    """Return whether an ended task says nothing about its row, because it was stopped from outside."""
    return record.state is TaskState.KILLED or record.cause == Cause.RUNNER_TERMINATED.name


def _has_started(record: TaskRecord) -> bool:
    return any(step.name is StepName.TASK and step.started is not None for step in record.steps)


def _is_of_node(record: TaskRecord) -> bool:
    """Return whether a task failed because of this machine before its program started."""
    is_cause = record.cause in {cause.name for cause in (*_OF_NODE, Cause.ENGINE_FAILED)}
    return record.state is TaskState.FAILED and is_cause and not _has_started(record)


def new_session() -> str:
    return uuid.uuid4().hex
