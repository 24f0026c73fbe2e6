"""`localrun.map`, on the fake engine, whose tasks add two integers."""

from __future__ import annotations

import inspect
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, assert_type

import numpy as np
import pytest

import localrun
from localrun.app import App
from localrun.batch.handle import Batch
from localrun.batch.results import ResultLine
from localrun.engines.fake import FakeContainer
from localrun.errors import InputsError, UsageError
from localrun.task.states import TaskState
from tests.batch.work import Project
from tests.cli.command import add
from tests.support.environment import IMAGE

if TYPE_CHECKING:

    def calls(rows: Iterator[dict[str, int]]) -> None:
        batch = localrun.map("bundle", [{"a": 1}], b=2, timeout="10m", results="results.csv")
        assert_type(batch, Batch)
        assert_type(next(iter(batch)), ResultLine)
        assert_type(batch.wait(timeout=3).counts, dict[str, int])
        localrun.map("bundle", Path("table.csv"))
        localrun.map("bundle", rows)
        localrun.map("bundle", grid={"a": range(3)})
        localrun.map("bundle", 3)  # type: ignore[arg-type]
        localrun.map("bundle", [], jobs="2")  # type: ignore[arg-type]
        localrun.map("bundle", [], retries="2")  # type: ignore[arg-type]


Map = Callable[..., Batch]


@pytest.fixture
def app(project: Project) -> Iterator[App]:
    app = project.app()
    with localrun.using(app):
        yield app
        app.manager.shutdown(0)


@pytest.fixture
def run(project: Project, app: App) -> Map:
    def call(*rows: Any, **options: Any) -> Batch:
        given = {"use_image": IMAGE, "pull": "never", "home": app.settings.home, **options}
        return localrun.map(project.bundle, *rows, **given)

    return call


def sums(batch: Batch) -> dict[str, Any]:
    return {line.id: line.outputs.get("sum") for line in batch}


def test_a_batch_yields_results_as_rows_end(run: Map) -> None:
    batch = run([{"a": 1, "b": 2}, {"a": 3, "b": 4, "id": "x"}])
    assert sums(batch) == {"0001": 3, "x": 7}
    assert sums(batch) == {"0001": 3, "x": 7}  # again, from the table
    assert (len(batch), batch.status, batch.counts) == (2, "ended", {"FINISHED": 2})
    line = next(line for line in batch.results if line.id == "x")
    assert (line.state, line.inputs, line.row) == (TaskState.FINISHED, {"a": 3, "b": 4}, 2)
    assert localrun.Task(line.task, run.__closure__[0].cell_contents.settings.home).outputs == {"sum": 7}  # type: ignore[index]


def test_a_result_is_there_while_other_rows_run(project: Project, run: Map) -> None:
    release = threading.Event()

    def program(container: FakeContainer) -> int:
        if container.path("/inputs/a").read_text() == "2":
            release.wait(60)
        return add(container)

    project.program = program
    batch = run([{"a": 1, "b": 0}, {"a": 2, "b": 0}])
    results = iter(batch)
    assert next(results).outputs == {"sum": 1}
    assert (batch.is_terminal, batch.status) == (False, "running")
    assert "1 of 2 rows ended (1 finished)" in repr(batch)
    with pytest.raises(TimeoutError, match="1 of 2 rows ended"):
        batch.wait(timeout=0.01)
    with pytest.raises(UsageError, match="has not ended"):
        batch.rerun_failed()
    release.set()
    assert [line.outputs for line in results] == [{"sum": 2}]


@pytest.mark.parametrize(
    "rows",
    [
        lambda: ({"a": number, "b": 1} for number in (1, 2)),
        lambda: SimpleNamespace(to_dicts=lambda: [{"a": 1, "b": 1}, {"a": 2, "b": 1}]),
        lambda: [{"a": 1, "b": 1, "id": None}, {"a": 2, "b": 1}],
        lambda: [{"a": np.int64(1), "b": np.array(1)}, {"a": np.float64(2), "b": 1}],
    ],
    ids=["generator", "polars", "null", "numpy"],
)
def test_rows_are_given_in_any_form(run: Map, rows: Callable[[], Any]) -> None:
    assert sorted(sums(run(rows())).values()) == [2, 3]


def test_a_table_is_read_relative_to_its_folder(run: Map, project: Project) -> None:
    table = project.folder / "rows.csv"
    table.write_text("id,a,b\nfirst,1,2\n,3,4\n")
    assert sums(run(table)) == {"first": 3, "0002": 7}


def test_a_grid_has_all_combinations_and_inputs_are_shared(run: Map) -> None:
    batch = run(grid={"a": [1, 2, 3], "b": (10, 20)})
    assert [line.inputs for line in sorted(batch, key=lambda line: line.row)] == [
        {"a": a, "b": b} for a in (1, 2, 3) for b in (10, 20)
    ]
    assert sorted(sums(run(grid={"a": range(2)}, b=5)).values()) == [5, 6]
    assert sums(run([{"a": 1}, {"a": 1, "b": 7}], inputs={"b": 5})) == {"0001": 6, "0002": 8}


def test_a_row_takes_the_output_of_a_task(run: Map, project: Project, app: App) -> None:
    home = app.settings.home
    first = localrun.submit(project.bundle, a=1, b=2, use_image=IMAGE, pull="never", home=home)
    assert sums(run([{"a": first.output("sum"), "b": 10}])) == {"0001": 13}


def test_all_problems_are_reported_by_row_and_column_and_nothing_runs(run: Map, project: Project) -> None:
    with pytest.raises(InputsError, match="3 invalid rows of 4") as caught:
        run([{"a": "x", "b": 1}, {"a": 1}, {"a": 1, "b": 2}, 3])
    places = {problem.path for problem in caught.value.problems}
    assert places == {"row 1, column a", "row 2, column b", "row 4"}
    assert caught.value.remedy == "fix the rows listed, or run the others with `skip_invalid`"
    assert project.started == []
    batch = run([{"a": "x", "b": 1}, {"a": 1, "b": 2}], skip_invalid=True)
    assert sums(batch) == {"0001": None, "0002": 3}
    assert [line.id for line in batch.failed] == ["0001"]


@pytest.mark.parametrize(
    ("rows", "options", "text"),
    [
        ((), {}, "expected either rows or `grid`"),
        (([{}],), {"grid": {}}, "expected either rows or `grid`"),
        (({"a": 1},), {}, "expected rows, found dict"),
        ((3,), {}, "expected rows, found int"),
        (([],), {}, "there are no rows"),
        ((), {"grid": {"a": []}}, "there are no rows"),
        ((), {"grid": {"a": 5}}, "expected a list for 'a', found 5"),
        ((), {"grid": {"a": "12"}}, "expected a list for 'a', found '12'"),
        ((), {"grid": {"a": {"b": 1}}}, "expected a list for 'a', found"),
        ((), {"grid": [("a", [1])]}, "expected lists by name, found list"),
        (([{"a": 1}],), {"jobs": 0}, "invalid options"),
        (([{"a": 1}],), {"timeout": "soon"}, "invalid options"),
    ],
)
def test_what_are_not_rows_is_an_error(run: Map, rows: Any, options: Any, text: str) -> None:
    with pytest.raises((UsageError, InputsError), match=text):
        run(*rows, **options)


def test_failed_rows_run_again(run: Map, project: Project) -> None:
    broken = True

    def program(container: FakeContainer) -> int:
        return 3 if broken and container.path("/inputs/a").read_text() == "2" else add(container)

    project.program = program
    batch = run(
        [{"a": number, "b": 0} for number in (1, 2, 3)], results=project.folder / "results.csv"
    ).wait()
    assert [(line.row, line.cause) for line in batch.failed] == [(2, "EXIT_NONZERO")]
    broken = False
    again = batch.rerun_failed().wait()
    assert again.id == batch.id
    assert sums(again) == {"0001": 1, "0002": 2, "0003": 3}
    assert sorted(project.started) == [1, 2, 2, 3]


def test_a_batch_is_resumed_by_another_process(run: Map, project: Project) -> None:
    rows = [{"a": 1, "b": 1}]
    run(rows, output=project.folder / "out").wait()
    batch = run([*rows, {"a": 2, "b": 2}], output=project.folder / "out", resume=True)
    assert sums(batch) == {"0001": 2, "0002": 4}
    assert project.started == [1, 2]
    assert "1 of 2 rows have ended" in batch.notes[0]
    assert batch.table == project.folder / "out" / "results.csv"


def test_a_cancelled_batch_can_be_resumed(run: Map, project: Project) -> None:
    started, waits = threading.Event(), True

    def program(container: FakeContainer) -> int:
        if waits and container.path("/inputs/a").read_text() == "2":
            started.set()
            container.stopped.wait(60)
            return 143
        return add(container)

    project.program = program
    batch = run([{"a": number, "b": 0} for number in range(1, 6)], jobs=2)
    assert started.wait(60)
    batch.cancel(grace=5)
    assert (batch.status, len(batch.results) < 5) == ("stopped", True)
    ended = [line.row for line in batch]
    assert 2 not in ended
    waits = False
    assert sorted(sums(batch.resume().wait()).values()) == [1, 2, 3, 4, 5]
    assert [project.started.count(row) for row in ended] == [1] * len(ended)


def test_ctrl_c_stops_the_batch_and_says_how_to_continue(
    run: Map, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program(container: FakeContainer) -> int:
        container.stopped.wait(60)
        return 143

    project.program = program
    batch = run([{"a": 1, "b": 0}])

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(batch._changed, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        batch.wait()
    assert "0 of 1 row ended; continue with `resume=True`" in caught.value.__notes__[0]
    assert batch.status == "stopped"


def test_an_error_of_the_engine_is_raised_while_waiting(run: Map) -> None:
    batch = run([{"a": 1, "b": 0}], use_image="no-such-image")
    with pytest.raises(localrun.batch.handle.LocalrunError, match="no-such-image"):  # type: ignore[attr-defined]
        batch.wait()
    assert batch.status == "stopped"


# -- notebooks and data frames -----------------------------------------------------------------------


def test_results_become_a_data_frame_with_the_columns_of_the_csv(
    run: Map, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run([{"a": 1, "b": 2}]).wait().results
    monkeypatch.setitem(
        sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows, columns: (rows, columns))
    )
    rows, columns = found.to_pandas()
    assert dict(zip(columns, rows[0], strict=True)) | {"duration": 0, "task": "", "peak_memory": 0} == {
        "row": 1,
        "id": "0001",
        "a": 1,
        "b": 2,
        "state": "FINISHED",
        "cause": None,
        "duration": 0,
        "peak_memory": 0,
        "sum": 3,
        "message": "",
        "task": "",
        "node": "",
        "reused": False,
    }
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pandas is not installed") as caught:
        found.to_pandas()
    assert "pip install pandas" in caught.value.remedy


def test_a_data_frame_of_pandas_has_defaults_for_missing_values(run: Map) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [3, 4], "id": ["x", None]})
    found = run(frame).wait().results.to_pandas()
    assert dict(zip(found["id"], found["sum"], strict=True)) == {"x": 4, "0002": 6}
    with pytest.raises(UsageError, match="duplicate column 'a'"):
        run(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(UsageError, match="expected rows, found Series"):
        run(pandas.Series([1], name="a"))


def test_a_batch_and_its_results_are_shown_in_notebooks(run: Map, project: Project) -> None:
    project.program = lambda container: (
        3 if container.path("/inputs/a").read_text() == "2" else add(container)
    )
    batch = run([{"a": 1, "b": 0}, {"a": 2, "b": 0}]).wait()
    shown = batch._repr_html_()
    assert "2 of 2 rows ended (1 failed, 1 finished)" in shown
    assert "EXIT_NONZERO" in shown
    assert "<script" not in shown
    assert "sum=1" in batch.results._repr_html_()


def test_a_notebook_shows_at_most_200_kb(run: Map, project: Project) -> None:
    batch = run([{"a": number, "b": 0} for number in range(105)]).wait()
    shown = batch.results._repr_html_()
    assert "and 5 more rows" in shown
    assert len(shown) < 200 * 1024


def test_an_unfinished_batch_is_reported_at_the_end_of_the_process(
    run: Map, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    from localrun.batch import handle

    release = threading.Event()
    project.program = lambda container: 0 if release.wait(60) and not add(container) else 1
    batch = run([{"a": 1, "b": 0}])
    handle._report_unfinished()
    assert "has not ended: 0 of 1 row ended; call `wait()`" in capsys.readouterr().err
    release.set()
    batch.wait()
    handle._report_unfinished()
    assert capsys.readouterr().err == ""


def test_map_takes_the_options_of_submit() -> None:
    own, submit = (set(inspect.signature(call).parameters) for call in (localrun.map, localrun.submit))
    assert submit - own == {"profile"}
    batch = {"rows", "grid", "output", "results", "jobs", "cluster", "resume", "rerun_failed", "skip_invalid"}
    assert own - submit == batch


def test_a_result_in_the_table_is_json(run: Map) -> None:
    batch = run([{"a": 1, "b": 2}]).wait()
    line = json.loads(batch.table.with_suffix(".jsonl").read_text())
    assert (line["inputs"], line["outputs"]) == ({"a": 1, "b": 2}, {"sum": 3})
