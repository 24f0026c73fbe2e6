"""A cluster in this process, whose nodes have fake engines and folders of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any

from distributed import LocalCluster

from localrun.app import App
from localrun.batch.batch import BatchRun
from localrun.batch.cluster.backend import ClusterBackend
from localrun.batch.cluster.worker import NAME, NodePlugin
from localrun.batch.options import BatchOptions
from localrun.batch.rows import ListedRows
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.manager.request import Request
from localrun.settings import Settings
from tests.batch.work import Program
from tests.cli.command import add
from tests.support.environment import DESCRIPTOR, IMAGE


class Nodes:
    """`count` workers, and a client in the folder `client` of another folder."""

    def __init__(self, folder: Path, count: int = 2, program: Program = add) -> None:
        self.folder = folder
        self.program = program
        self.engines: dict[str, FakeEngine] = {}  # by the name of the node
        self.notes: list[str] = []
        self.count = count
        self.bundle = folder / "descriptor.yml"
        self.bundle.write_text(DESCRIPTOR)
        self.request = Request(self.bundle, image=IMAGE, pull="never")
        self.cluster: Any = None

    @contextmanager
    def running(self) -> Iterator[Nodes]:
        with LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=0,
            processes=False,
            protocol="tcp://",
            dashboard_address="127.0.0.1:0",
            silence_logs="ERROR",
        ) as self.cluster:
            for number in range(1, self.count + 1):
                self.add(f"n{number}")
            yield self

    @property
    def address(self) -> str:
        address: str = self.cluster.scheduler_address
        return address

    def _run(self, container: FakeContainer) -> int:
        return self.program(container)

    def add(self, name: str, **options: Any) -> Any:
        """Start a worker, and return it."""
        engine = self.engines.setdefault(name, FakeEngine(self._run))
        engine.add_image(IMAGE)

        async def start() -> Any:
            from distributed import Worker

            settings = Settings(
                home=self.folder / name,
                cache=self.folder / f"{name}.cache",
                ledger=self.folder / f"{name}.ledger.json",
            )
            plugin = NodePlugin(lambda: App(settings, engine))
            return await Worker(
                self.address, name=name, nthreads=2, plugins=(plugin,), dashboard=False, **options
            )

        worker = self.cluster.sync(start)
        self.cluster.workers[name] = worker
        assert NAME in worker.plugins
        return worker

    def client(self) -> App:
        settings = Settings(
            home=self.folder / "home", cache=self.folder / "cache", ledger=self.folder / "ledger.json"
        )
        engine = FakeEngine(self._run)
        engine.add_image(IMAGE)
        return App(settings, engine)

    def run(self, function: Callable[[], Any]) -> Any:
        """Call a function in the event loop of the cluster."""

        async def call() -> Any:
            found = function()
            return await found if isawaitable(found) else found

        return self.cluster.sync(call)

    def close_worker(self, name: str) -> None:
        self.run(self.cluster.workers.pop(name).close)

    async def drop_clients(self) -> None:
        """Close the connections of all clients, as if they were killed."""
        for stream in list(self.cluster.scheduler.client_comms.values()):
            stream.abort()

    def batch(
        self,
        rows: Any,
        *,
        app: App | None = None,
        request: Request | None = None,
        address: str | None = None,
        **options: Any,
    ) -> BatchRun:
        app, request = app or self.client(), request or self.request
        address = self.address if address is None else address
        backend = ClusterBackend(app, request, address, notify=self.notes.append)
        given = BatchOptions(results=self.folder / "results.csv", **options)
        return BatchRun(app, request, ListedRows(rows), given, backend=backend)
