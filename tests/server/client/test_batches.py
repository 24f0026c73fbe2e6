"""Batches of `localrun.Client`, with a live server on the fake engine, whose tasks add two integers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import localrun
from localrun.engines.fake import FakeContainer
from localrun.errors import EngineError, LocalrunError, RequestRefused, UsageError
from localrun.pytest_plugin.live_server import run_server
from localrun.server.client.batches import ServedBatch
from localrun.server.config import ServerOptions
from tests.manager.test_recovery import add
from tests.support.environment import Environment, make_environment

PATIENCE = 60.0


class Program:
    """Adds. Waits for `release` if a is 0, fails if a is 13 until `cured`."""

    def __init__(self) -> None:
        self.release, self.cured = threading.Event(), threading.Event()

    def __call__(self, container: FakeContainer) -> int:
        a = container.path("/inputs/a").read_text()
        while a == "0" and not self.release.is_set():
            if container.stopped.wait(0.01):
                return 143
        return 3 if a == "13" and not self.cured.is_set() else add(container)


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def env(tmp_path: Path, program: Program) -> Iterator[Environment]:
    with make_environment(tmp_path, program, logs=tmp_path / "logs") as made:
        yield made
        program.release.set()


@pytest.fixture
def client(env: Environment, tmp_path: Path) -> Iterator[localrun.Client]:
    with run_server(env.app, ServerOptions(bundles=(tmp_path,), token="secret")) as server:
        yield localrun.Client(server.url, "secret")


@pytest.fixture
def run(client: localrun.Client, env: Environment) -> Any:
    """Return `client.map` with the bundle of the environment."""

    def call(rows: Any = None, **given: Any) -> ServedBatch:
        return client.map(env.bundle.name, rows, image=env.image, **given)

    return call


def sums(batch: ServedBatch) -> dict[str, int | None]:
    return {line.id: line.outputs.get("sum") for line in batch.results}


def test_rows_run_in_the_server_and_their_results_come_as_they_end(
    run: Any, client: localrun.Client, program: Program
) -> None:
    batch = run([{"a": 1, "b": 2}, {"a": 0, "b": 9, "id": "last"}, {"a": 13, "b": 1}], metadata={"run": "7"})
    assert (len(batch), batch.status, batch.is_terminal) == (3, "running", False)
    found = []
    for line in batch:
        found.append((line.id, line.state, line.outputs.get("sum"), line.cause))
        if len(found) == 2:  # before the last one ends
            program.release.set()
    assert sorted(found[:2]) == [("0001", "FINISHED", 3, None), ("0003", "FAILED", None, "EXIT_NONZERO")]
    assert found[2:] == [("last", "FINISHED", 9, None)]
    assert (batch.status, batch.counts) == ("ended", {"FINISHED": 2, "FAILED": 1})
    assert batch.progress == "3 of 3 rows ended (1 failed, 2 finished)"
    assert [line.id for line in batch.failed] == ["0003"]
    assert [line.id for line in batch] == [line.id for line in batch.results] == [one[0] for one in found]
    task = client.task(next(line.task for line in batch.results if line.id == "last"))
    assert (task.outputs, task.metadata) == ({"sum": 9}, {"run": "7"})
    assert repr(batch) == f"<localrun.ServedBatch {batch.id} ended: 3 of 3 rows ended (1 failed, 2 finished)>"


def test_a_grid_has_all_combinations(run: Any) -> None:
    batch = run(grid={"a": range(1, 3), "b": (10, 20)}).wait(PATIENCE)
    assert sums(batch) == {"0001": 11, "0002": 21, "0003": 12, "0004": 22}
    assert len(run(grid={"a": [5]}, inputs={"b": 1}, jobs=1).wait(PATIENCE).results) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("inputs.csv", "\ufeffid,a,b\nx,1,2\n,3,4\n"),
        ("inputs.tsv", "id\ta\tb\nx\t1\t2\n\t3\t4\n"),
        ("inputs.jsonl", '{"id": "x", "a": 1, "b": 2}\n{"a": 3, "b": 4}\n'),
    ],
)
def test_a_table_of_this_machine_is_sent(run: Any, tmp_path: Path, name: str, content: str) -> None:
    table = tmp_path / name
    table.write_text(content)
    assert sums(run(table).wait(PATIENCE)) == {"x": 3, "0002": 7}


def test_problems_are_reported_by_row_and_column_of_the_table(run: Any, tmp_path: Path) -> None:
    table = tmp_path / "inputs.csv"
    table.write_text("a,b\n1,x\n2,\n3,4\n@/etc/passwd,1\n")
    with pytest.raises(RequestRefused) as caught:
        run(str(table))
    assert list(map(str, caught.value.problems)) == [
        "inputs.csv:2 row 1, column b: invalid integer 'x'; expected e.g. 42",
        "inputs.csv:3 row 2, column b: missing required input; set it with b=INTEGER",
        "inputs.csv:5 row 4, column a: expected an integer, got '@/etc/passwd' (string); remove the quotes",
    ]
    assert caught.value.status == 422
    batch = run(table, skip_invalid=True).wait(PATIENCE)
    assert (batch.counts, sums(batch)["0003"]) == ({"FAILED": 3, "FINISHED": 1}, 7)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot read the table"),
        (b"a,b\n1,\xff\n", "is not text in UTF-8"),
        (b"PK\x03\x04\n", "the table is a spreadsheet"),
        (b"a;b\n1;2\n", "the cells are separated by semicolons"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(
    run: Any, tmp_path: Path, content: bytes | None, text: str
) -> None:
    table = tmp_path / "inputs.csv"
    if content is not None:
        table.write_bytes(content)
    with pytest.raises((UsageError, RequestRefused), match=text):
        run(table)


def test_the_results_are_saved_as_csv_and_json_lines(run: Any, tmp_path: Path) -> None:
    batch = run([{"a": 1, "b": 2}]).wait(PATIENCE)
    table = batch.download_results(tmp_path / "sums.csv")
    assert table.read_text().splitlines()[0].startswith("row,id,a,b,state,cause")
    assert '"sum":3' in batch.download_results(tmp_path / "sums.jsonl").read_text()
    with pytest.raises(UsageError, match=r"must be a \.csv or \.jsonl file"):
        batch.download_results("sums.xlsx")
    pandas = pytest.importorskip("pandas")
    frame = batch.results.to_pandas()
    assert (list(frame["a"]), list(frame["sum"]), list(frame["state"])) == ([1], [3], ["FINISHED"])
    assert list(run(frame[["a", "b"]]).wait(PATIENCE).results.to_pandas()["sum"]) == [3]
    assert isinstance(frame, pandas.DataFrame)


def test_a_batch_is_cancelled_and_resumed(run: Any, program: Program) -> None:
    batch = run([{"a": 1, "b": 2}, {"a": 0, "b": 9}], jobs=1)
    with pytest.raises(TimeoutError, match=r"has not ended after 0\.01 s: "):
        batch.wait(0.01)
    assert batch.cancel(grace=1.0).status == "cancelled"
    assert len(list(batch)) == len(batch.results) < 2
    assert batch.cancel() is batch  # without effect
    program.release.set()
    assert batch.resume() is batch
    assert sorted(line.id for line in batch) == ["0001", "0002"]
    assert sums(batch) == {"0001": 3, "0002": 9}


def test_failed_rows_run_again_and_no_earlier_result_is_yielded(run: Any, program: Program) -> None:
    batch = run([{"a": 13, "b": 2}, {"a": 13, "b": 3}, {"a": 1, "b": 1}]).wait(PATIENCE)
    assert batch.counts == {"FAILED": 2, "FINISHED": 1}
    program.cured.set()
    results = list(batch.rerun_failed())
    assert sorted((line.id, line.state) for line in results) == [
        ("0001", "FINISHED"),
        ("0002", "FINISHED"),
        ("0003", "FINISHED"),
    ]
    with pytest.raises(RequestRefused, match="404"):
        localrun.Client(batch._client.url, "secret").batch("nothing")


def test_batches_are_found_by_their_id_and_listed(run: Any, client: localrun.Client) -> None:
    first = run([{"a": 1, "b": 2}], batch_id="sums-1").wait(PATIENCE)
    assert run([{"a": 1, "b": 2}], batch_id="sums-1").id == first.id == "sums-1"
    second = run([{"a": 1, "b": 3}]).wait(PATIENCE)
    assert [one.id for one in client.batches()] == [second.id, "sums-1"]
    assert [one.id for one in client.batches(limit=1)] == [second.id]
    assert sums(client.batch("sums-1")) == {"0001": 3}
    assert client.batch("sums-1").details["assigned_by"] == "localrun.Client"
    with pytest.raises(UsageError, match="the batch id is empty"):
        client.batch("")


def test_results_are_read_in_pieces(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = run(grid={"a": range(1, 6), "b": [1]}).wait(PATIENCE)
    expected = batch.results
    monkeypatch.setattr("localrun.server.client.batches._CHUNK", 100)  # less than a line
    assert batch.results == expected


def test_an_engine_that_is_gone_is_reported_by_wait(
    run: Any, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise EngineError("cannot reach the engine", remedy="start it")

    monkeypatch.setattr("localrun.batch.local.ensure_image", fail)
    batch = run([{"a": 1, "b": 2}])
    for read in (batch.wait, lambda: list(batch)):
        with pytest.raises(LocalrunError, match="cannot reach the engine"):
            read()
    assert batch.status == "stopped"
    monkeypatch.undo()
    assert sums(batch.resume().wait(PATIENCE)) == {"0001": 3}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "expected either rows or `grid`"),
        ({"rows": [], "grid": {}}, "expected either rows or `grid`"),
        ({"rows": {"a": 1}}, "expected rows, found dict"),
        ({"rows": [{"a": object(), "b": 1}]}, "cannot send a value of the type object"),
    ],
)
def test_rows_are_checked_before_they_are_sent(run: Any, given: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        run(given.pop("rows", None), **given)


def test_paths_are_sent_as_names_of_files(client: localrun.Client, env: Environment, tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match=r"expected an integer, got '@x\.png'"):
        client.map(env.bundle.name, [{"a": Path("x.png"), "b": 1}], image=env.image)
