"""Batches on the fake engine, whose tasks add two integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from localrun.app import App
from localrun.batch.batch import Batch, BatchOptions
from localrun.batch.local import LocalBackend
from localrun.batch.rows import ListedRows
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.manager.request import Request
from localrun.settings import Settings
from tests.cli.command import add
from tests.support.environment import DESCRIPTOR, IMAGE

Program = Callable[[FakeContainer], int]


class Project:
    """A folder with a bundle that adds, and batches of it."""

    def __init__(self, folder: Path, program: Program = add) -> None:
        self.folder = folder
        self.program = program
        self.started: list[str] = []  # the values of `a` of all containers
        self.bundle = folder / "descriptor.yml"
        self.bundle.write_text(DESCRIPTOR)
        self.request = Request(self.bundle, image=IMAGE, pull="never", retries=0)

    def app(self) -> App:
        """Return an app like that of a new process."""
        settings = Settings(
            home=self.folder / "home", cache=self.folder / "cache", ledger=self.folder / "ledger.json"
        )
        engine = FakeEngine(self._run)
        engine.add_image(IMAGE)
        return App(settings, engine)

    def _run(self, container: FakeContainer) -> int:
        self.started.append(container.path("/inputs/a").read_text())
        return self.program(container)

    def batch(
        self, rows: Sequence[Mapping[str, Any]], *, app: App | None = None, jobs: int = 4, **options: Any
    ) -> Batch:
        app = app or self.app()
        given = BatchOptions(results=self.folder / "results.csv", **options)
        return Batch(
            app, self.request, ListedRows(rows), given, backend=LocalBackend(app, self.request, jobs)
        )
