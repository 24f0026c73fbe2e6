"""The way of a row over the cluster: placed by Dask, supplied by the client, run by a node, and fetched."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import sha256
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from distributed import CancelledError as FutureCancelled
from distributed.scheduler import KilledWorker

from localrun._version import __version__
from localrun.app import App
from localrun.batch.backend import RowResult, result_of
from localrun.batch.cluster.connection import ClusterConnection, ConnectionLost
from localrun.batch.cluster.ends import TaskEnds
from localrun.batch.cluster.orders import Answer, Ended, Lacking, Order, Refused, Unusable, Work, seal
from localrun.batch.cluster.results import Importer
from localrun.batch.cluster.supply import Supply
from localrun.batch.cluster.worker import run_row
from localrun.batch.rows import Row
from localrun.errors import Cause, LocalrunError
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState

_REST = 60.0  # seconds for which a node gets no rows after it could not run one
_PREPARED = 4  # rows whose inputs are read at a time
_FETCHED = 4  # results that are received at a time
_MOST_DELIVERIES = 20  # for one row, which may be placed on many nodes


class Placement:
    """Runs rows on the nodes of a connection. All methods run in its event loop.

    `needed` are the resources of a row, by the names that the cluster uses.
    """

    def __init__(
        self,
        connection: ClusterConnection,
        supply: Supply,
        app: App,
        importer: Importer,
        needed: Mapping[str, float],
    ) -> None:
        self._connection = connection
        self._supply = supply
        self._ends = TaskEnds(app, connection.notify)
        self._store = app.store
        self._importer = importer
        self._needed = dict(needed)
        self._loop = asyncio.get_running_loop()
        self._resting: dict[str, float] = {}  # worker -> until when it gets no rows
        self._noted: set[tuple[str, str]] = set()  # nodes that could not run rows, and why
        self._preparing = asyncio.Semaphore(_PREPARED)
        self._fetching = asyncio.Semaphore(_FETCHED)
        self.received: set[asyncio.Task[Any]] = set()  # rows whose results are being received
        self._delivering: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def run(self, row: Row, attempt: int) -> RowResult:
        """Run a row to its end. Raises `LocalrunError` if it has no task."""
        task_id, record = await asyncio.to_thread(self._adopt, row, attempt)
        if record is not None:
            return result_of(row, record, node=record.node)
        work = await self._prepare(row)
        refusals: dict[str, Unusable] = {}
        deliveries = 0
        prefer = self._connection.ended.get(task_id, "")
        while True:
            try:
                answer = await self._place(self._order(task_id, work), prefer, refusals)
                if isinstance(answer, Lacking):
                    deliveries += 1
                    if deliveries > _MOST_DELIVERIES:
                        raise LocalrunError(
                            f"worker {answer.worker} does not keep what it receives", remedy="see its log"
                        )
                    work = await self._deliver(answer, work)
                    prefer = answer.worker
                elif isinstance(answer, Unusable):
                    self._note_unusable(answer, refusals)
                    prefer = ""
                elif isinstance(answer, Refused):
                    if answer.failure.cause == Cause.KILLED.name:
                        raise ConnectionLost("Dask withdrew the row from its worker")
                    raise answer.failure.to_error()
                else:
                    return await self._fetch(row, task_id, answer, work)
            except ConnectionLost:
                prefer = self._connection.ended.get(task_id, "")
                await asyncio.sleep(0.1)

    def _adopt(self, row: Row, attempt: int) -> tuple[str, TaskRecord | None]:
        """Return the task of this attempt, with its record if it or an earlier one is a result already."""
        for number in range(attempt, 0, -1):
            workspace = self._store.find(row.task_id(number))
            record = None if workspace is None else workspace.load_or_none()
            if record is not None and record.state.is_final:
                if number == attempt or record.state is TaskState.FINISHED:
                    return record.id, record
            elif row.task_id(number) in self._connection.ended:
                return row.task_id(number), None
        return row.task_id(attempt), None

    async def _prepare(self, row: Row) -> Work:
        """Return the work of a row, once the tasks have ended whose outputs it needs."""
        async with self._preparing:
            found = await asyncio.to_thread(self._supply.gather, row)
        for task_id in self._supply.needs(found):
            await self._ends.wait_for(task_id)
        async with self._preparing:
            return await asyncio.to_thread(self._supply.work, row, found)

    def _order(self, task_id: str, work: Work) -> Order:
        connection = self._connection
        return Order(task_id, connection.session, __version__, seal(connection.key, work))

    async def _place(self, order: Order, prefer: str, refusals: dict[str, Unusable]) -> Answer:
        """Let Dask run a row on a node, and return its answer. Raises `ConnectionLost`."""
        now = _now()
        resting = {worker for worker, until in self._resting.items() if until > now}
        avoid = resting | refusals.keys()
        nodes = self._connection.nodes.keys()
        if nodes and nodes <= avoid:
            if nodes <= refusals.keys():  # each of them could not run it
                raise next(reversed(refusals.values())).failure.to_error()
            avoid = set(refusals)
        workers = self._connection.allowed(avoid)
        if prefer in nodes and prefer not in avoid:
            workers = [prefer]
        client = self._connection.client
        try:
            future = client.submit(
                run_row,
                order,
                key=f"localrun-{order.task_id}-{os.urandom(4).hex()}",
                pure=False,
                resources=self._needed,
                workers=workers,
            )
        except (OSError, RuntimeError, ValueError, AttributeError) as error:  # it is closed
            await self._connection.restore(client)
            raise ConnectionLost(str(error)) from error
        try:
            return await self._answer(future, workers)
        except KilledWorker as error:
            raise LocalrunError(
                f"the workers that ran the row died one after the other: {error}",
                remedy="see the logs of the workers",
                cause=Cause.RUNNER_TERMINATED,
            ) from error
        except OSError as error:  # the answer was not received; errors of the node are data
            raise ConnectionLost(str(error)) from error
        except FutureCancelled as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # this row, not its future
                raise
            await self._connection.restore(client)
            raise ConnectionLost(str(error)) from error
        finally:
            future.release()

    async def _answer(self, future: Any, workers: list[str] | None) -> Answer:
        """Wait for the answer of a node. Raises `ConnectionLost` if the row must be placed again.

        A row without a node that may run it stays where it is, also when such a node comes.
        """
        stranded = False

        def must_move() -> bool:
            nonlocal stranded
            nodes = self._connection.nodes.keys()
            stranded = stranded or not nodes & set(nodes if workers is None else workers)
            return stranded and bool(nodes)

        answer: Answer = await self._connection.unless(must_move, future.result())
        return answer

    def _note_unusable(self, answer: Unusable, refusals: dict[str, Unusable]) -> None:
        refusals[answer.worker] = answer
        if not answer.lasting:
            return
        self._resting[answer.worker] = _now() + _REST
        node, kind = self._connection.nodes.get(answer.worker), (answer.worker, answer.failure.cause)
        if node is not None and kind not in self._noted:
            self._noted.add(kind)
            why = answer.failure.message.removeprefix(f"node {node.name}: ")
            self._connection.notify(f"node {node.name} cannot run rows now: {why}")

    async def _deliver(self, missing: Lacking, work: Work) -> Work:
        """Send what a node lacks, each file once. Returns the work, with the copy of the image if needed.

        Raises `ConnectionLost`.
        """
        connection = self._connection
        if missing.session:
            await connection.reopen(missing.worker)
            return work
        files = missing.files
        if missing.image:
            archive = await asyncio.to_thread(self._supply.archive)
            work = msgspec.structs.replace(work, bundle=archive)
            files = (*files, archive)
        store = (
            connection.nodes[missing.worker].store if missing.worker in connection.nodes else missing.worker
        )
        for sent in files:
            lock = self._delivering.setdefault((store, sent.digest), asyncio.Lock())
            async with lock:  # the second row finds the file complete
                await connection.send_file(missing.worker, sent)
        return work

    async def _fetch(self, row: Row, task_id: str, ended: Ended, work: Work) -> RowResult:
        """Store the task of a node here, and delete it there. Raises `ConnectionLost`."""
        task = asyncio.current_task()
        assert task is not None
        self.received.add(task)
        try:
            async with self._fetching:
                add = partial(self._importer.add, node=ended.node)
                parts = _checked(ended) if ended.archive else self._chunks(ended.worker, task_id)
                record = await asyncio.to_thread(add, parts, task_id, work)
        finally:
            self.received.discard(task)
        self._connection.ended.pop(task_id, None)
        discard = self._connection.call(ended.worker, "discard", (task_id,))
        await asyncio.gather(discard, return_exceptions=True)
        return result_of(row, record, node=ended.node)

    def _chunks(self, worker: str, task_id: str) -> Iterator[bytes]:
        """Yield the archive of a task in chunks; called in another thread than the loop."""
        number, found = 0, sha256()
        while True:
            call = self._connection.call(worker, "read", task_id, number)
            data, digest = asyncio.run_coroutine_threadsafe(call, self._loop).result()
            if digest:
                _check_digest(digest, found.hexdigest())
                return
            found.update(data)
            number += 1
            yield data


def _checked(ended: Ended) -> Iterator[bytes]:
    _check_digest(ended.digest, sha256(ended.archive).hexdigest())
    yield ended.archive


def _check_digest(expected: str, found: str) -> None:
    if expected != found:
        raise ConnectionLost("the result was damaged on its way")


def _now() -> float:
    return asyncio.get_running_loop().time()
