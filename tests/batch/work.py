"""Batches on the fake engine, whose tasks add two integers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from localrun.app import App
from localrun.batch.backend import Backend
from localrun.batch.batch import BatchRun
from localrun.batch.local import LocalBackend
from localrun.batch.options import BatchOptions
from localrun.batch.rows import ListedRows, RowSource
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.manager.request import Request
from localrun.settings import Settings
from tests.cli.command import add
from tests.support.environment import DESCRIPTOR, IMAGE

Program = Callable[[FakeContainer], int]


def pairs(*values: int) -> list[dict[str, int]]:
    """Return rows that add 1 to each value."""
    return [{"a": value, "b": 1} for value in values]


class Project:
    """A folder with a bundle that adds, and batches of it."""

    def __init__(self, folder: Path, program: Program = add) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.results = folder / "results.csv"
        self.program = program
        self.started: list[int] = []  # the values of `a` of all containers
        self.notes: list[str] = []
        self.bundle = folder / "descriptor.yml"
        self.bundle.write_text(DESCRIPTOR)
        self.request = Request(self.bundle, image=IMAGE, pull="never")

    def app(self) -> App:
        """Return an app like that of a new process."""
        folder = self.folder
        settings = Settings(home=self.home, cache=folder / "cache", ledger=folder / "ledger.json", grace=1.0)
        engine = FakeEngine(self._run)
        engine.add_image(IMAGE)
        return App(settings, engine)

    def _run(self, container: FakeContainer) -> int:
        self.started.append(int(container.path("/inputs/a").read_text()))
        return self.program(container)

    def hang_after(self, value: int) -> Program:
        """Return a program that ends for values of `a` up to this, and else runs until it is killed."""

        def program(container: FakeContainer) -> int:
            if int(container.path("/inputs/a").read_text()) > value:
                return int(container.stopped.wait(60))
            return add(container)

        return program

    def batch(
        self,
        rows: RowSource | Sequence[Mapping[str, Any]],
        *,
        app: App | None = None,
        jobs: int = 4,
        backend: Backend | None = None,
        **options: Any,
    ) -> BatchRun:
        """Return a batch like that of a new process."""
        app = app or self.app()
        given = BatchOptions(**{"results": self.results, **options})
        source = ListedRows(rows) if isinstance(rows, list) else rows
        backend = backend or LocalBackend(app, self.request, jobs)
        return BatchRun(app, self.request, source, given, backend=backend, notify=self.notes.append)  # type: ignore[arg-type]

    def run(self, rows: RowSource | Sequence[Mapping[str, Any]], **options: Any) -> list[int]:
        """Run a batch, and return the values of `a` of the containers that it started."""
        self.started.clear()
        self.notes.clear()
        list(self.batch(rows, **options))
        return sorted(self.started)

    @property
    def rows(self) -> list[dict[str, str]]:
        """The CSV, in the order of the rows."""
        with self.results.open(newline="") as stream:
            return sorted(csv.DictReader(stream), key=lambda row: int(row["row"]))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON Lines, in the order of the rows."""
        lines = self.results.with_suffix(".jsonl").read_text().splitlines()
        return sorted(map(json.loads, lines), key=lambda line: int(line["row"]))
