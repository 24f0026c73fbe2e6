"""The part of localrun in a worker of the cluster: `dask worker ... --preload localrun.batch.cluster.worker`.

A client adds it to workers that were started without this option.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Worker, WorkerPlugin, get_worker, secede

from localrun.api.apps import settings_for
from localrun.app import App
from localrun.batch.cluster.node import ClusterNode, NodeFacts
from localrun.batch.cluster.orders import Answer, Failure, Order
from localrun.errors import LocalrunError
from localrun.fs import write_error

if TYPE_CHECKING:
    from distributed.worker_state_machine import TaskStateState

NAME = "localrun"
OPERATION = "localrun"  # of messages to a worker
_SHUTDOWN_GRACE = 1.0  # seconds; a nanny waits a few seconds for a worker that closes
_CALLS = ("open", "close", "running", "write", "read", "discard")


def node_app() -> App:
    """Return an app for the tasks of this machine, in a folder that no client uses."""
    settings = settings_for()
    home = settings.home / "nodes" / socket.gethostname()
    home.mkdir(parents=True, exist_ok=True)
    return App(settings_for(home))


class NodePlugin(WorkerPlugin):
    """Connects a worker with its node: messages of clients, announced resources, cancelled rows."""

    name = NAME
    idempotent = True

    def __init__(self, make_app: Callable[[], App] = node_app) -> None:
        self._make_app = make_app
        self._worker: Worker | None = None
        self.node: ClusterNode | None = None

    async def setup(self, worker: Worker) -> None:
        is_named = isinstance(worker.name, str) and "://" not in worker.name
        name = worker.name if is_named else socket.gethostname()
        self._worker = worker
        _stop_profiler(worker)
        asyncio.get_running_loop().set_exception_handler(ignore_timeouts)
        address = worker.contact_address or worker.address
        self.node = node = ClusterNode(await asyncio.to_thread(self._make_app), name, address)
        await asyncio.to_thread(node.prepare)
        worker.handlers[OPERATION] = self._handle
        await self._announce(worker, await asyncio.to_thread(node.resources))

    async def _announce(self, worker: Worker, found: dict[str, float]) -> None:
        """Announce the resources of the machine, except for those that the worker was started with."""
        own = worker.state.total_resources
        new = {name: amount for name, amount in found.items() if name not in own}
        if worker.status.name == "running":
            if new:
                await worker.set_resources(**new)
        else:  # it registers later, with these
            own.update(new)
            worker.state.available_resources.update(new)

    async def teardown(self, worker: Worker) -> None:
        worker.handlers.pop(OPERATION, None)
        if self.node is not None:
            await asyncio.to_thread(self.node.shut_down, _SHUTDOWN_GRACE)

    def transition(self, key: Any, start: TaskStateState, finish: TaskStateState, **_: Any) -> None:
        """Stop a row that the scheduler does not want any more, e.g. because its client is gone."""
        is_withdrawn = start in ("executing", "long-running", "resumed") and finish == "released"
        if is_withdrawn and self.node is not None and self._worker is not None:
            self._worker.loop.run_in_executor(None, self.node.cancel, str(key))

    async def _handle(self, call: str, arguments: bytes) -> bytes:
        """Answer a message of a client. Errors are data: the cluster would log them."""
        return await asyncio.to_thread(self._answer, call, arguments)

    def _answer(self, call: str, arguments: bytes) -> bytes:
        assert self.node is not None
        assert call in _CALLS
        try:
            result = getattr(self.node, call)(*pickle.loads(arguments))  # noqa: S301 - as all of the cluster
        except LocalrunError as error:
            result = Failure.of(error)
        except OSError as error:
            result = Failure.of(write_error(Path(self.node.app.settings.home), error))
        return pickle.dumps(result)

    @property
    def facts(self) -> NodeFacts:
        assert self.node is not None
        assert self._worker is not None
        store = f"{socket.gethostname()}:{self.node.content.path}"
        resources = dict(self._worker.state.total_resources)
        return NodeFacts(self.node.name, store, resources, self.node.problem)


def _stop_profiler(worker: Worker) -> None:
    """Stop the sampling of threads, which only wait for containers.

    `sys._current_frames` can lock up a process that starts threads
    (https://github.com/python/cpython/issues/106883).
    """
    for name in ("profile", "profile-cycle"):
        callback = worker.periodic_callbacks.pop(name, None)
        if callback is not None:
            callback.stop()


def ignore_timeouts(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Do not log a timeout that nothing awaits: Dask leaves some behind when it closes a connection."""
    if not isinstance(context.get("exception"), TimeoutError):
        loop.default_exception_handler(context)


async def dask_setup(worker: Worker) -> None:
    """Add the plugin to a worker; the entry point of a preload."""
    if NAME not in worker.plugins:
        await worker.plugin_add(NodePlugin(), name=NAME, catch_errors=False)


async def install(dask_worker: Worker) -> NodeFacts:
    """Add the plugin to a worker if it has none, and return what a client must know."""
    await dask_setup(dask_worker)
    plugin = dask_worker.plugins[NAME]
    assert isinstance(plugin, NodePlugin)
    return plugin.facts


def run_row(order: Order) -> Answer:
    """Run a row on this worker; the function that the cluster calls."""
    worker = get_worker()
    plugin = worker.plugins[NAME]
    assert isinstance(plugin, NodePlugin)
    assert plugin.node is not None
    key = worker.get_current_task()
    secede()  # type: ignore[no-untyped-call] # the resources limit how many rows run, not the threads
    return plugin.node.run(order, str(key))
