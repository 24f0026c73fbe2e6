"""Warnings of the tasks and of the image of a batch."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from localrun.app import App
from localrun.batch.backend import RowResult
from localrun.batch.backends import backend_for
from localrun.batch.row_warnings import RowWarnings
from localrun.batch.rows import Row
from localrun.engines.base import EngineImage
from localrun.engines.fake import FakeEngine
from localrun.engines.fake.engine import INFO
from localrun.settings import Settings
from localrun.task.states import TaskState
from tests.batch.work import Project, pairs
from tests.cli.command import add
from tests.support.environment import IMAGE


def counted(*warnings: tuple[str, ...]) -> RowWarnings:
    found = RowWarnings()
    for number, messages in enumerate(warnings, 1):
        found.add(RowResult(Row(number, {}), TaskState.FINISHED, warnings=messages), f"{number:04}")
    return found


def unlimited(folder: Path) -> App:
    """Return an app whose engine does not enforce the memory limit."""
    engine = FakeEngine(add, info=replace(INFO, unenforced=("memory",)))
    engine.add_image(IMAGE)
    settings = Settings(home=folder / "home", cache=folder / "cache", ledger=folder / "ledger.json")
    return App(settings, engine)


def test_limits_that_are_not_enforced_are_reported_once_for_all_rows(tmp_path: Path) -> None:
    batch = Project(tmp_path).batch(pairs(1, 2, 3), app=unlimited(tmp_path), jobs=1)
    list(batch)
    message = "the engine does not enforce the task's limits of memory; see `localrun doctor`"
    assert list(batch.warnings.lines()) == [f"warning: 3 rows, first 0001: {message}"]
    assert batch.summary()["warnings"] == [{"message": message, "rows": 3, "first": "0001"}]


def test_warnings_of_reused_results_are_not_repeated(tmp_path: Path) -> None:
    project = Project(tmp_path)
    list(project.batch(pairs(1), app=unlimited(tmp_path)))
    project.request, project.results = project.request.replace(reuse="yes"), tmp_path / "again.csv"
    batch = project.batch(pairs(1), app=unlimited(tmp_path))
    assert [result.reused for result in batch] == [True]
    assert list(batch.warnings.lines()) == []
    assert "warnings" not in batch.summary()


def test_warnings_that_differ_in_numbers_are_one() -> None:
    found = counted(("used 1.5 GiB", "used 2 GiB"), ("used 12 GiB",), ("other",))
    assert list(found.lines()) == ["warning: 2 rows, first 0001: used 2 GiB", "warning: row 0003: other"]


def test_many_kinds_of_warnings_are_counted_and_not_shown() -> None:
    found = counted(*[(f"kind {'x' * number}",) for number in range(150)])
    *shown, rest = found.lines()
    assert len(shown) == 5
    assert rest == "145 more warnings: `localrun status ID` shows those of a task"


def test_warnings_of_the_build_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ensure_image(*_: object, warn: object, **__: object) -> EngineImage:
        assert callable(warn)
        warn("built without the credential helper")
        found = app.engine.find_image(IMAGE)
        assert found is not None
        return found

    project = Project(tmp_path)
    app = project.app()
    monkeypatch.setattr("localrun.batch.local.ensure_image", ensure_image)
    backend = backend_for(app, project.request, cluster=None, jobs=1, notify=project.notes.append)
    list(project.batch(pairs(1), app=app, backend=backend))
    assert project.notes == ["warning: built without the credential helper"]
