"""Batches over HTTP, on the fake engine, whose tasks add two integers."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.batch.backend import RowResult
from localrun.batch.results import line_of
from localrun.batch.rows import Row
from localrun.engines.fake import FakeContainer
from localrun.errors import Cause, LocalrunError
from localrun.server.batches import runs
from localrun.server.batches.rows import ResultIndex
from localrun.task.states import TaskState
from localrun.undecodable import encode_record
from tests.support.server_client import ServerEnvironment, add, serve_environment
from tests.support.waiting import until

ROWS = [{"a": 1, "b": 2}, {"a": 3, "b": 4, "id": "x"}]


class Batches:
    """A client of the batches of a server."""

    def __init__(self, env: ServerEnvironment) -> None:
        self.env = env
        self.client = env.client

    def body(self, **fields: Any) -> dict[str, Any]:
        return {
            "bundle": self.env.env.bundle.name,
            "image": self.env.env.image,
            "assigned_by": "ray",
            **fields,
        }

    def create(self, **fields: Any) -> str:
        """Create a batch. Return its id."""
        answer = self.client.post("/batch", json=self.body(**fields))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["batch_id"])

    def wait(self, batch_id: str, state: str = "ended") -> dict[str, Any]:
        """Return the batch when none of its rows runs any more."""
        answer = self.client.get(f"/batch/{batch_id}/wait", params={"timeout": 60}).json()
        assert answer["batch"]["state"] == state, answer
        found: dict[str, Any] = answer["batch"]
        return found

    def rows(self, batch_id: str, **query: Any) -> dict[str, Any]:
        answer = self.client.get(f"/batch/{batch_id}/rows", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def results(self, batch_id: str) -> dict[str, Any]:
        """Return the sums of the rows by their ids."""
        lines = map(json.loads, self.client.get(f"/batch/{batch_id}/results").text.splitlines())
        return {line["id"]: line["outputs"].get("sum") for line in lines}


class Gate:
    """A program that adds, and waits if `a` is 2 until the gate is open. With `a` 13 it fails."""

    def __init__(self) -> None:
        self.is_reached, self.is_open = threading.Event(), threading.Event()

    def __call__(self, container: FakeContainer) -> int:
        a = container.path("/inputs/a").read_text()
        if a == "2":
            self.is_reached.set()
            while not self.is_open.is_set():
                if container.stopped.wait(0.01):
                    return 143
        return 3 if a == "13" else add(container)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def batches(tmp_path: Path, gate: Gate) -> Iterator[Batches]:
    with serve_environment(tmp_path, gate) as env:
        yield Batches(env)
        gate.is_open.set()
        env.site.batches.close("kill", 0.0)


def test_rows_run_and_their_results_are_json_lines_and_csv(batches: Batches) -> None:
    batch = batches.create(rows=ROWS)
    found = batches.wait(batch)
    assert found["counts"] == {"FINISHED": 2}
    assert (found["total"], found["assigned_by"], found["name"]) == (2, "ray", "Add integers")
    assert batches.results(batch) == {"0001": 3, "x": 7}
    answer = batches.client.get(f"/batch/{batch}/results", params={"format": "csv"})
    assert f"-{batch[:8]}.csv" in answer.headers["content-disposition"]
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert (rows["x"]["a"], rows["x"]["sum"], rows["x"]["state"]) == ("3", "7", "FINISHED")
    task = batches.client.get(f"/task/{rows['x']['task']}").json()["task"]
    assert (task["outputs"], task["assigned_by"]) == ({"sum": 7}, "ray")
    assert task["batch"] == {"id": batch, "row": 2, "name": "x"}
    found = batches.client.get("/tasks", params={"q": f"batch:{batch[:8]}"}).json()
    assert sorted(row["batch"]["row"] for row in found["tasks"]) == [1, 2]
    until(lambda: batch not in batches.env.site.batch_feed._published)  # nothing of it stays in memory


def test_a_grid_has_all_combinations_and_inputs_are_shared(batches: Batches) -> None:
    batch = batches.create(grid={"a": [5, 6]}, inputs={"b": 1})
    batches.wait(batch)
    assert sorted(batches.results(batch).values()) == [6, 7]


def test_a_table_is_text_whose_files_are_names_that_a_client_may_use(batches: Batches) -> None:
    first = batches.create(rows=[{"a": 1, "b": 2}])
    batches.wait(first)
    task = json.loads(batches.client.get(f"/batch/{first}/results").text)["task"]
    batch = batches.create(table=f"a\tb\n@task:{task}/sum\t10\n", table_name="inputs.tsv")
    batches.wait(batch)
    assert batches.results(batch) == {"0001": 13}
    for cell in ("@/etc/hostname", "@https://localhost/a", "@~/a"):
        answer = batches.client.post("/batch", json=batches.body(table=f"a,b\n{cell},1\n"))
        assert answer.status_code == 422
        assert "expected an integer, got '@" in answer.json()["detail"][0]["msg"] or "https" in cell, (
            answer.text
        )
    answer = batches.client.post("/batch", json=batches.body(table="a,c\n1,2\n", table_name="mine.csv"))
    assert (answer.status_code, "invalid columns in mine.csv" in answer.text) == (422, True)
    answer = batches.client.post("/batch", json=batches.body(table="a,b\n1;2\n", rows=[]))
    assert "either rows or a grid or a table" in answer.text


def test_all_problems_are_reported_by_row_and_column_and_nothing_runs(batches: Batches) -> None:
    answer = batches.client.post("/batch", json=batches.body(rows=[{"a": "x", "b": 1}, {"a": 1, "c": 2}, 7]))
    assert answer.status_code == 422
    places = [item["loc"] for item in answer.json()["detail"]]
    assert ["body", "rows", 1, "a"] in places
    assert ["body", "rows", 2, "b"] in places
    assert ["body", "rows", 2, "c"] in places
    assert ["body", "rows", 3] in places
    assert batches.client.get("/batch").json()["batches"] == []
    assert batches.client.get("/tasks").json()["total"] == 0
    batch = batches.create(rows=[{"a": "x", "b": 1}, {"a": 1, "b": 2}], skip_invalid=True)
    assert batches.wait(batch)["counts"] == {"FAILED": 1, "FINISHED": 1}


@pytest.mark.parametrize(
    ("fields", "place", "text"),
    [
        ({}, "rows", "expected either rows or a grid"),
        ({"rows": [], "grid": {}}, "rows", "expected either rows or a grid"),
        ({"rows": []}, "", "there are no rows"),
        ({"grid": {"a": []}}, "a", "there are no values"),
        ({"grid": {"a": [1] * 1000, "b": [1] * 1000}}, "grid", "more than 100,000 rows"),
        ({"rows": {"a": 1}}, "rows", "list"),
        ({"rows": [{"a": 1, "b": 1}], "jobs": 0}, "jobs", "greater than or equal to 1"),
        ({"rows": [{"a": 1, "b": 1}], "retry": 3}, "retry", "unknown field"),
        ({"rows": [{"a": 1, "b": 1}], "timeout": "soon"}, "timeout", "soon"),
        ({"rows": [{"a": 1, "b": 1}], "profile": "iexec"}, "profile", "not possible in a batch"),
        ({"rows": [{"a": 1, "b": 1}], "mounts": ["/:/x"]}, "mounts", "a client cannot mount"),
        ({"rows": [{"a": 1, "b": 1}], "bundle": "no.zip"}, "", "unknown bundle"),
        ({"rows": [{"a": "@/etc/passwd", "b": 1}]}, "a", ""),
    ],
)
def test_an_invalid_batch_is_refused(batches: Batches, fields: dict[str, Any], place: str, text: str) -> None:
    answer = batches.client.post("/batch", json=batches.body(**fields))
    assert answer.status_code == 422
    found = answer.json()["detail"]
    assert any(place in map(str, item["loc"]) or not place for item in found), found
    assert text in json.dumps(found)


def test_a_row_takes_the_output_of_a_task(batches: Batches) -> None:
    first = batches.env.run(a=1, b=2)
    batch = batches.create(rows=[{"a": {"task": first, "output": "sum"}, "b": 10}])
    batches.wait(batch)
    assert batches.results(batch) == {"0001": 13}


def test_a_batch_with_an_id_is_created_once(batches: Batches) -> None:
    for _ in range(2):
        answer = batches.client.put("/batch/nightly-1", json=batches.body(rows=ROWS))
        assert (answer.status_code, answer.json()["batch_id"]) == (200, "nightly-1")
        batches.wait("nightly-1")
    assert batches.client.get("/tasks").json()["total"] == 2
    other = batches.client.put("/batch/nightly-1", json=batches.body(rows=ROWS[:1]))
    assert other.status_code == 409
    assert "is another one" in other.json()["detail"]
    assert batches.client.put("/batch/-x", json=batches.body(rows=ROWS)).status_code == 422


def test_batches_are_listed_newest_first_with_events_and_metrics(batches: Batches) -> None:
    first, second = batches.create(rows=ROWS), batches.create(rows=ROWS)
    for batch in (first, second):
        batches.wait(batch)
    found = batches.client.get("/batch").json()
    assert ([one["batch_id"] for one in found["batches"]], found["total"]) == ([second, first], 2)
    assert len(batches.client.get("/batch", params={"limit": 1}).json()["batches"]) == 1
    for kind in ("batch_created", "batch_ended"):
        assert [line["data"]["batch_id"] for line in batches.env.lines(kind)] in (
            [first, second],
            [second, first],
        )
    text = batches.client.get("/metrics").text
    assert 'localrun_batches{state="ended"} 2.0' in text
    assert 'localrun_batch_rows{state="open"} 0.0' in text


def test_rows_are_shown_with_failures_first(batches: Batches, gate: Gate) -> None:
    rows = [{"a": 1, "b": 0}, {"a": 13, "b": 0}, {"a": 2, "b": 0, "id": "slow"}, {"a": 4, "b": 9}]
    batch = batches.create(rows=rows)
    assert gate.is_reached.wait(60)
    while sum(batches.rows(batch, state="ended")["counts"].values()) < 4:
        pass
    found = batches.rows(batch)
    while len([row for row in found["rows"] if row["final"]]) < 3:
        found = batches.rows(batch)
    assert [row["row"] for row in found["rows"]] == [2, 3, 1, 4]
    assert (found["counts"]["FAILED"], found["counts"]["FINISHED"], found["total"]) == (1, 2, 4)
    failed, slow = found["rows"][:2]
    assert (failed["cause"], failed["inputs"][0]) == ("EXIT_NONZERO", {"name": "a", "text": "13"})
    assert (slow["state"], slow["id"], slow["final"]) == ("RUNNING", "slow", False)
    assert batches.client.get(f"/task/{slow['task']}").status_code == 200
    gate.is_open.set()
    batches.wait(batch)
    assert [row["row"] for row in batches.rows(batch, sort="row")["rows"]] == [1, 2, 3, 4]
    assert [row["row"] for row in batches.rows(batch, state="FAILED")["rows"]] == [2]
    assert [row["row"] for row in batches.rows(batch, q="SLOW")["rows"]] == [3]
    page = batches.rows(batch, sort="row", offset=1, limit=2)
    assert ([row["row"] for row in page["rows"]], page["matching"]) == ([2, 3], 4)
    assert page["rows"][1]["outputs"] == [{"name": "sum", "text": "2"}]
    assert batches.rows(batch, state="active")["rows"] == []


def test_a_batch_is_cancelled_and_resumed(batches: Batches, gate: Gate) -> None:
    batch = batches.create(rows=[{"a": number, "b": 0} for number in range(1, 6)], jobs=1)
    assert gate.is_reached.wait(60)
    assert batches.client.post(f"/batch/{batch}/resume").status_code == 409
    answer = batches.client.post(f"/batch/{batch}/cancel", params={"grace": 5})
    assert answer.json()["batch"]["state"] == "cancelled"
    assert batches.results(batch) == {"0001": 1}
    assert batches.client.post(f"/batch/{batch}/cancel").status_code == 409
    gate.is_open.set()
    assert batches.client.post(f"/batch/{batch}/resume").status_code == 200
    assert batches.wait(batch)["counts"] == {"FINISHED": 5}
    assert sorted(batches.results(batch).values()) == [1, 2, 3, 4, 5]
    assert [line["data"]["state"] for line in batches.env.lines("batch_cancelled")] == ["cancelled"]


def test_a_batch_that_waits_for_its_turn_can_be_cancelled(
    batches: Batches, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_MOST", 1)
    first = batches.create(rows=[{"a": 2, "b": 0}])
    assert gate.is_reached.wait(60)
    second = batches.create(rows=ROWS)
    answer = batches.client.post(f"/batch/{second}/cancel")
    assert answer.json()["batch"]["state"] == "cancelled"
    gate.is_open.set()
    batches.wait(first)
    assert batches.client.post(f"/batch/{second}/resume").status_code == 200
    assert batches.wait(second)["counts"] == {"FINISHED": 2}


def test_a_batch_that_is_created_while_the_server_stops_starts_no_row(batches: Batches) -> None:
    batches.env.site.batches.close("leave")
    batch = batches.create(rows=ROWS)
    assert batches.wait(batch, "stopped")["counts"] == {}


def test_a_batch_that_cannot_be_saved_does_not_run_and_can_be_sent_again(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LocalrunError("no space left", cause=Cause.DISK_FULL)

    with monkeypatch.context() as patched:
        patched.setattr(runs.BatchRuns, "_save", fail)
        assert batches.client.put("/batch/mine", json=batches.body(rows=ROWS)).status_code == 507
    assert batches.client.get("/batch/mine").json()["batch"]["state"] == "stopped"
    assert batches.client.put("/batch/mine", json=batches.body(rows=ROWS)).status_code == 200
    assert batches.wait("mine")["counts"] == {"FINISHED": 2}


def test_a_batch_that_cannot_be_read_keeps_no_other_from_being_resumed(batches: Batches, gate: Gate) -> None:
    ids = [batches.create(rows=[{"a": 2, "b": 0}]) for _ in range(2)]
    assert gate.is_reached.wait(60)
    site = batches.env.site
    site.batches.close("kill", 0.0)
    gate.is_open.set()
    (site.batches.store.folder(ids[1]) / "submission.json").write_text('{"sent": {"rows": 1}}')
    restarted = runs.BatchRuns(site.app, site.bundle_store, lambda *_: None)
    restarted.recover()

    def states() -> dict[str, str]:
        return {one.id: restarted.store.state(one) for one in restarted.store.newest_first()}

    until(lambda: states()[ids[0]] == "ended")
    assert states()[ids[1]] == "stopped"


def test_an_error_of_the_engine_stops_a_batch_and_is_shown(batches: Batches) -> None:
    batch = batches.create(rows=ROWS, image="no-such-image")
    assert "no-such-image" in batches.wait(batch, "stopped")["error"]
    assert batches.client.get(f"/batch/{batch}/results").status_code == 404
    assert batches.rows(batch)["rows"] == []


def test_an_unknown_batch_is_not_found(batches: Batches) -> None:
    for method, path in (
        *(("GET", path) for path in ("", "/rows", "/results", "/wait")),
        *(("POST", path) for path in ("/cancel", "/resume")),
    ):
        answer = batches.client.request(method, f"/batch/nothing{path}")
        assert (answer.status_code, answer.json()["detail"]) == (404, "Batch nothing not found")
    assert batches.client.get("/batch/..%2f..%2fetc").status_code == 404


def test_a_large_body_is_accepted_and_a_huge_one_is_not(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        large = {"rows": [{"a": 1, "b": "x" * 100}] * 12_000, "bundle": "no.zip"}
        assert "unknown bundle" in env.client.post("/batch", json=large).text
        headers = {"Content-Length": str(65 * 1024**2), "Content-Type": "application/json"}
        assert env.client.post("/batch", content=b"", headers=headers).status_code == 413


def test_the_index_follows_a_table_that_grows_and_is_replaced(tmp_path: Path) -> None:
    table = tmp_path / "results.jsonl"
    index = ResultIndex(table)
    assert index.rows() == []
    line = '{"row": %d, "id": "%d", "state": "FINISHED"}\n'
    table.write_text(line % (1, 1) + line[:10])
    assert [row.number for row in index.rows()] == [1]
    table.write_text(line % (1, 1) + line % (2, 2))
    assert [row.number for row in index.rows()] == [1, 2]
    (tmp_path / "new").write_text(line % (3, 3) * 5)
    (tmp_path / "new").rename(table)
    assert [row.number for row in index.rows()] == [3] * 5
    assert [one.row for one in index.read(index.rows()[:1])] == [3]
    with table.open("r+") as stream:  # a file that was written again may get the inode of a former one
        stream.write(line % (4, 4) * 6)
    assert [row.number for row in index.rows()] == [4] * 6


def test_the_index_has_rows_of_undecodable_names_and_no_damaged_ones(tmp_path: Path) -> None:
    table = tmp_path / "results.jsonl"
    named = line_of(RowResult(Row(2, {"image": "\udcff.png"}), TaskState.FINISHED), "2")
    table.write_bytes(b"damaged\n" + encode_record(named) + b"\n")
    index = ResultIndex(table)
    assert [row.number for row in index.rows()] == [2]
    assert next(index.read(index.rows())).inputs == {"image": "\udcff.png"}
