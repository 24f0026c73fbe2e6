"""Rows that run on the nodes of a dask.distributed cluster."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Coroutine, Mapping
from concurrent import futures
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from msgspec.structs import replace

from localrun import fs
from localrun.app import App
from localrun.batch.backend import RowResult
from localrun.batch.cluster.connection import ClusterConnection, Notify, parse_address
from localrun.batch.cluster.placement import Placement
from localrun.batch.cluster.results import Importer
from localrun.batch.cluster.reuse import ClusterReuse
from localrun.batch.cluster.supply import Supply
from localrun.batch.cluster.worker import ignore_timeouts
from localrun.batch.local import killed, refused
from localrun.batch.rows import Row
from localrun.bundle.reader import Bundle
from localrun.engines.base import Progress, Warn, no_progress, no_warning
from localrun.errors import Cause, LocalrunError, TaskKilled
from localrun.manager.request import Request
from localrun.settings import Settings

_SPARE = 2  # rows for each one that runs, so that no node waits for the client
_MOST_SLOTS = 512
_LOOK = 2.0  # seconds until a batch sees how many rows run


class ClusterBackend:
    """The backend of a cluster: Dask places the rows, and the nodes run them.

    `request` has the bundle, the options and the inputs that all rows share, `address` is `tcp://HOST:PORT`,
    `tls://HOST:PORT`, or `local:N` for N workers on this machine. `notify` receives what the user should
    know, `warn` the warnings of building or pulling the image. Raises `UsageError` for an invalid address,
    `LocalrunError` if the cluster cannot be reached or a worker has other versions, and what a submission
    raises for the bundle.
    """

    def __init__(
        self,
        app: App,
        request: Request,
        address: str,
        *,
        jobs: int | None = None,
        notify: Notify = lambda _: None,
        warn: Warn = no_warning,
        progress: Progress = no_progress,
    ) -> None:
        parse_address(address)
        self._app, self._request, self._address = app, request, address
        self._jobs, self._notify = jobs, notify
        self._supply = Supply(app, request, progress, warn)
        self._reuse = ClusterReuse(app, request, notify)
        self._importer = Importer(app.store, request, app.settings.disk_stop, self._reuse.keep)
        self._needed: dict[str, float] = {}  # the resources of a row, as the cluster calls them
        self._ended: SimpleQueue[RowResult] = SimpleQueue()
        self._rows: set[asyncio.Task[None]] = set()
        self._cancelled = False
        self._connection: ClusterConnection | None = None
        self._placement: Placement | None = None
        self._calls: set[futures.Future[None]] = set()  # of other threads
        self._is_closed = False
        self._lock = threading.Lock()  # of the two before
        self._loop: asyncio.AbstractEventLoop | None = None  # until the first row is about to start

    def prepare(self, bundle: Bundle) -> str:
        """Connect to the cluster, and build or pull an image here that the bundle does not contain."""
        self._needed = _needed(self._request, bundle)
        identity = self._supply.prepare(bundle, self._check_cancelled)
        self._reuse.prepare(bundle)
        self._loop = loop = asyncio.new_event_loop()
        loop.set_exception_handler(ignore_timeouts)
        self._thread = threading.Thread(target=loop.run_forever, name="cluster", daemon=True)
        self._thread.start()
        self._in_loop(self._connect())
        return identity

    def _check_cancelled(self) -> None:
        if self._cancelled:
            raise TaskKilled("stopped before the first row started", remedy="run it again")

    async def _connect(self) -> None:
        mounts = tuple(mount.source for mount in self._request.bind_mounts)
        environment = _environment(self._app.settings)
        self._connection = ClusterConnection(self._address, environment, self._notify, mounts)
        await self._connection.connect()
        self._check_fits(self._connection)
        self._placement = Placement(self._connection, self._supply, self._app, self._importer, self._needed)
        self._connection.watch()

    def _check_fits(self, connection: ClusterConnection) -> None:
        nodes = list(connection.nodes.values())
        if nodes and not any(self._capacity(one.resources) for one in nodes):
            wanted = _format(self._needed)
            have = "; ".join(f"{one.name} has {_format(one.resources) or 'none'}" for one in nodes)
            raise LocalrunError(
                f"no worker of {connection.address} has the resources of a row ({wanted}): {have}",
                remedy=f"start one: `dask worker {connection.address} --resources '{wanted}'`",
                cause=Cause.CPU_UNAVAILABLE,
            )

    def _capacity(self, resources: Mapping[str, float]) -> int:
        """Return how many rows run on a worker at a time."""
        needed = {name: amount for name, amount in self._needed.items() if amount}
        return min((math.floor(resources.get(name, 0.0) / each) for name, each in needed.items()), default=1)

    @property
    def slots(self) -> int:
        """The number of rows to keep in flight."""
        return self._jobs or min(_SPARE * self._running_at_once() + _SPARE, _MOST_SLOTS)

    def _running_at_once(self) -> int:
        nodes = [] if self._connection is None else list(self._connection.nodes.values())
        return sum(self._capacity(one.resources) for one in nodes)

    def states(self) -> Mapping[str, int]:
        in_flight = len(self._rows)
        running = min(in_flight, sum(self._running().values()))
        found = {"RUNNING": running, "QUEUING": in_flight - running}
        return {state: count for state, count in found.items() if count}

    def nodes(self) -> Mapping[str, int]:
        running = self._running()
        return running if sum(running.values()) <= len(self._rows) else {}  # some have just ended

    def _running(self) -> Mapping[str, int]:
        connection = self._connection
        return {} if connection is None else connection.running

    # -- the protocol of a backend ---------------------------------------------------------------

    def start(self, row: Row, attempt: int) -> None:
        found = self._reuse.find(row)
        if isinstance(found, RowResult):
            self._ended.put(found)
        else:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._start, row, attempt, found)

    def _start(self, row: Row, attempt: int, not_reused: tuple[str, ...]) -> None:
        if self._cancelled:
            self._ended.put(killed(row))
            return
        task = asyncio.get_running_loop().create_task(
            self._run(row, attempt, not_reused), name=f"row-{row.number}"
        )
        self._rows.add(task)
        task.add_done_callback(partial(self._on_done, row))

    def next(self, timeout: float | None = None) -> RowResult | None:
        try:
            return self._ended.get(timeout != 0, _LOOK if timeout is None else timeout)
        except Empty:
            return None

    def cancel(self, grace: float | None = None) -> None:
        self._cancelled = True
        if self._connection is not None:
            self._in_loop(self._cancel(grace))

    async def _cancel(self, grace: float | None) -> None:
        received = self._placement.received if self._placement is not None and grace != 0.0 else set()
        for task in self._rows - received:
            task.cancel()
        await asyncio.gather(*self._rows, return_exceptions=True)
        if self._connection is not None:
            await self._discard_known(self._connection)
            await self._connection.end_session(grace)

    async def _discard_known(self, connection: ClusterConnection) -> None:
        """Delete results on nodes of rows that have run elsewhere, e.g. after their worker was lost."""
        find, ended = self._app.store.find, connection.ended.items()
        known = [(worker, task_id) for task_id, worker in ended if find(task_id) is not None]
        calls = [connection.call(worker, "discard", (task_id,)) for worker, task_id in known]
        await asyncio.gather(*calls, return_exceptions=True)

    def close(self) -> None:
        """Disconnect, after every `cancel` has returned; the workers of `local:N` end."""
        if self._loop is not None and not self._is_closed:
            self._in_loop(self._close())
            with self._lock:
                self._is_closed = True
                calls = list(self._calls)
            futures.wait(calls)  # a signal may stop the rows just now
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        self._supply.close()

    async def _close(self) -> None:
        await self._cancel(None)
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the thread of the cluster, unless that has ended."""
        with self._lock:
            if self._is_closed or self._loop is None:
                work.close()
                return
            call = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._calls.add(call)
        try:
            call.result()
        finally:
            with self._lock:
                self._calls.discard(call)

    async def _run(self, row: Row, attempt: int, not_reused: tuple[str, ...]) -> None:
        """Run a row to its end, and put its result into the queue."""
        try:
            assert self._placement is not None  # `prepare` was called
            self._ended.put(replace(await self._placement.run(row, attempt), not_reused=not_reused))
        except asyncio.CancelledError:
            self._ended.put(killed(row))
        except LocalrunError as error:
            self._ended.put(refused(row, error))
        except OSError as error:
            self._ended.put(refused(row, fs.write_error(self._app.store.path, error)))

    def _on_done(self, row: Row, task: asyncio.Task[None]) -> None:
        """Report a bug, or a stop before the first step, as the result that would be waited for otherwise."""
        self._rows.discard(task)
        if task.cancelled():
            self._ended.put(killed(row))
        elif (error := task.exception()) is not None:
            self._ended.put(refused(row, LocalrunError(f"internal error: {type(error).__name__}: {error}")))


def _needed(request: Request, bundle: Bundle) -> dict[str, float]:
    needed = request.resources(bundle.descriptor)
    found = {"CPU": float(needed.cpus), "MEMORY": float(needed.memory)}
    return {**found, "GPU": float(needed.gpus)} if needed.gpus else found


def _format(resources: Mapping[str, float]) -> str:
    return " ".join(f"{name}={amount:.15g}" for name, amount in resources.items())


def _environment(settings: Settings) -> dict[str, str]:
    """Return the variables with which the workers of `local:N` use the same engine as the client."""
    names = ("home", "cache", "ledger", "docker_host", "docker_context", "container_host")
    found = {name: getattr(settings, name) for name in names}
    return {f"LOCALRUN_{name.upper()}": str(value) for name, value in found.items() if value is not None}
