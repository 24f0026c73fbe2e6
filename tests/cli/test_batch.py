"""`localrun batch`."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from localrun.batch.store import BatchStore
from localrun.cli.context import CliContext
from localrun.cli.entry import commands
from localrun.engines.fake import FakeContainer
from localrun.task import metadata
from localrun.task.store import TaskStore
from tests.cli.command import Command, Result, add
from tests.support.environment import IMAGE


def batch(localrun: Command, *arguments: object) -> Result:
    return localrun("batch", localrun.bundle, "--image", IMAGE, "--pull", "never", *arguments)


@pytest.fixture
def table(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(localrun.folder)
    path = localrun.folder / "inputs.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    return path


def rows(path: str = "results.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="") as stream:
        return sorted(csv.DictReader(stream), key=lambda row: int(row["row"]))


def fail_on(value: str) -> Any:
    def program(container: FakeContainer) -> int:
        return 3 if container.path("/inputs/a").read_text() == value else add(container)

    return program


def test_a_table_becomes_a_table_of_results(localrun: Command, table: Path) -> None:
    done = batch(localrun, "--table", table, "--results", "results.csv", "-o", "out")
    assert (done.code, done.out) == (0, "2 of 2 rows finished\nresults: results.csv\n")
    assert done.err.startswith("2/2 rows, 2 FINISHED")
    assert [(row["a"], row["b"], row["state"], row["sum"]) for row in rows()] == [
        ("1", "2", "FINISHED", "3"),
        ("3", "4", "FINISHED", "7"),
    ]
    assert Path("out/0002/sum.txt").read_text() == "7"


def test_over_and_grid_multiply_with_inputs_of_all_rows(localrun: Command, table: Path) -> None:
    for name in "12":
        Path(f"x{name}.txt").write_text(name)
    done = batch(localrun, "--over", "a=@x*.txt", "--grid", "b=10,20", "--results", "results.csv")
    assert done.code == 0
    assert [row["sum"] for row in rows()] == ["11", "21", "12", "22"]
    assert [row["a"] for row in rows()] == ["x1.txt", "x1.txt", "x2.txt", "x2.txt"]
    done = batch(localrun, "--grid", "a=1,2", "-i", "b=5", "--results", "results.csv")
    assert [row["sum"] for row in rows()] == ["6", "7"]


@pytest.mark.parametrize(
    ("failing", "code", "line"),
    [
        ("-", 0, "2 of 2 rows finished"),
        ("1", 10, "1 of 2 rows finished, 1 FAILED"),
        ("all", 1, "0 of 2 rows finished, 2 FAILED"),
    ],
)
def test_the_exit_code_says_whether_all_some_or_no_rows_finished(
    localrun: Command, table: Path, failing: str, code: int, line: str
) -> None:
    localrun.program = fail_on(failing) if failing != "all" else lambda _: 3
    done = batch(localrun, "--table", table)
    assert (done.code, done.out.splitlines()[0]) == (code, line)


def test_a_failure_is_shown_with_its_row_and_cause(localrun: Command, table: Path) -> None:
    localrun.program = fail_on("3")
    err = batch(localrun, "--table", table).err
    assert "row 0002: EXIT_NONZERO: the task failed with exit code 3" in err


def test_invalid_rows_are_reported_before_any_row_runs(localrun: Command, table: Path) -> None:
    table.write_text("a,b\n1,x\n3,4\n5,\n")
    done = batch(localrun, "--table", table)
    assert (done.code, done.out) == (3, "")
    assert done.err.splitlines() == [
        "error: 2 invalid rows of 3",
        f"  - {table}:2 row 1, column b: invalid integer 'x'; expected e.g. 42",
        f"  - {table}:4 row 3, column b: missing required input; set it with b=INTEGER",
        "  hint: fix the rows listed, or run the others with --skip-invalid",
    ]
    done = batch(localrun, "--table", table, "--skip-invalid", "--results", "results.csv")
    assert (done.code, done.out.splitlines()[0]) == (10, "1 of 3 rows finished, 2 FAILED")
    assert [row["cause"] for row in rows()] == ["INPUTS_INVALID", "", "INPUTS_INVALID"]


def test_invalid_rows_are_one_json_value_too(localrun: Command, table: Path) -> None:
    table.write_text("a,b\n1,x\n")
    done = batch(localrun, "--table", table, "--json")
    assert (done.code, done.json["cause"]) == (3, "INPUTS_INVALID")
    assert done.json["problems"][0]["path"] == "row 1, column b"


def test_resume_and_rerun_failed_run_what_is_left(localrun: Command, table: Path) -> None:
    localrun.program = fail_on("1")
    assert batch(localrun, "--table", table, "--results", "results.csv").code == 10
    localrun.program = add
    table.write_text("a,b\n1,2\n3,4\n5,6\n")
    done = batch(localrun, "--table", table, "--results", "results.csv", "--resume")
    assert (done.code, "2 of 3 rows have ended" in done.err) == (10, True)
    done = batch(localrun, "--table", table, "--results", "results.csv", "--rerun-failed")
    assert (done.code, "1 failed row to run again" in done.err) == (0, True)
    assert [row["sum"] for row in rows()] == ["3", "7", "11"]


def test_json_is_one_value_with_counts_and_failures(localrun: Command, table: Path) -> None:
    localrun.program = fail_on("3")
    found = batch(localrun, "--table", table, "--results", "r.jsonl", "--json").json
    assert found["counts"] == {"FINISHED": 1, "FAILED": 1}
    assert (found["state"], found["total"], found["invalid"]) == ("ended", 2, 0)
    assert [failure["id"] for failure in found["failures"]] == ["0002"]
    lines = [json.loads(line) for line in Path(found["results"]).read_text().splitlines()]
    assert {line["state"] for line in lines} == {"FINISHED", "FAILED"}
    assert Path(found["csv"]).exists()


def test_quiet_prints_the_path_of_the_table_only(localrun: Command, table: Path) -> None:
    done = batch(localrun, "--table", table, "--results", "results.csv", "-q")
    assert (done.code, done.out, done.err) == (0, "results.csv\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no rows: pass --table, --over or --grid"),
        (["--table", "inputs.csv", "--grid", "a=1"], "--table excludes --over and --grid"),
        (["--table", "inputs.csv", "-i", "a=1"], "a is set by -i and by the rows"),
        (["--grid", "a=1", "--grid", "a=2"], "a is set by 2 of --over and --grid"),
        (["--over", "a=@none*"], "no file matches 'none*'"),
        (["--grid", "a"], "'a' is not NAME=VALUE,VALUE"),
        (
            ["--table", "inputs.csv", "--results", "inputs.csv"],
            "is not the results of a batch of this folder",
        ),
        (["--table", "inputs.csv", "--results", "x.txt"], "results must be a .csv or .jsonl file"),
        (["--table", "inputs.csv", "--in-image"], "--in-image needs a folder for the moved copies"),
        (["--table", "inputs.csv", "-j", "0"], "'0' is not an integer of at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    localrun: Command, table: Path, arguments: list[str], message: str
) -> None:
    done = batch(localrun, *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert table.read_text() == "a,b\n1,2\n3,4\n"


def test_a_table_that_does_not_exist_is_an_invalid_input(localrun: Command, table: Path) -> None:
    done = batch(localrun, "--table", "none.csv")
    assert done.code == 3
    assert "none.csv: cannot read the table: No such file or directory" in done.err


def test_the_table_may_come_from_standard_input(
    localrun: Command, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(table.read_bytes())))
    assert batch(localrun, "--table", "-").code == 0
    monkeypatch.setattr("sys.stdin", None)  # closed by the shell
    done = batch(localrun, "--table", "-")
    assert (done.code, "<stdin>: the table is empty" in done.err) == (3, True)


def test_an_iexec_app_is_refused(localrun: Command, table: Path) -> None:
    Path("localrun.toml").write_text('profile = "iexec"\n')
    done = batch(localrun, "--table", table)
    assert done.code == 2, done.err
    assert "a batch cannot run an iExec app" in done.err


def test_options_of_a_run_hold_for_each_row(localrun: Command, table: Path) -> None:
    options = ["--cpus", "0.5", "--memory", "100Mi", "--timeout", "9s", "--retries", "2", "--metadata", "k=v"]
    assert batch(localrun, "--table", table, *options).code == 0
    found = [workspace.load() for workspace in TaskStore(localrun.folder / "home").newest_first()]
    assert len(found) == 2
    for record in found:
        assert (record.resources.cpus, record.resources.memory) == (0.5, 100 * 1024**2)
        assert (record.timeout, record.run_plan.retries) == (9.0, 2)
        assert metadata.of(record) == {"k": "v"}


def test_list_names_the_batch_and_the_row(localrun: Command, table: Path) -> None:
    table.write_text("id,a,b\nleft,1,2\n,3,4\n")
    found = batch(localrun, "--table", table, "--json").json
    listed = localrun("list").out
    assert "BATCH" in listed.splitlines()[0]
    assert f"{found['batch'][:8]}/left" in listed
    assert f"{found['batch'][:8]}/2" in listed
    records = localrun("list", "--json").json
    assert {record["batch"]["row"] for record in records} == {1, 2}
    localrun.run()
    assert localrun("list", "-n", "1").out.splitlines()[0].split()[-1] == "DURATION"


def test_over_and_grid_complete_the_inputs(localrun: Command) -> None:
    for option in ("--over", "--grid"):
        out = localrun("completion", "bash", "--line", f"localrun batch {localrun.bundle} {option} ").out
        assert [line.split("\t")[1] for line in out.splitlines()] == ["a=", "b="]


def test_list_names_the_node_of_a_task_that_ran_elsewhere(localrun: Command, table: Path) -> None:
    assert batch(localrun, "--table", table).code == 0
    assert "NODE" not in localrun("list").out
    store = TaskStore(localrun.folder / "home")
    workspace = next(store.newest_first())
    workspace.save(workspace.load().replace(node="node-7"))
    listed = localrun("list").out.splitlines()
    assert "NODE" in listed[0]
    assert sum("node-7" in line for line in listed) == 1
    assert "node-7" in localrun("status", workspace.id).out
    assert "node-7" in localrun("describe", workspace.id).out
    assert {record.get("node", "") for record in localrun("list", "--json").json} == {"", "node-7"}


def test_garbage_is_collected_while_the_rows_run(localrun: Command, table: Path) -> None:
    called: list[int] = []
    context = CliContext(make_app=localrun.app, on_imported=lambda: called.append(len(localrun.engines)))
    given = ["batch", str(localrun.bundle), "--image", IMAGE, "--pull", "never", "--table", str(table)]
    commands.main(
        ["--home", str(localrun.folder / "home"), *given],
        prog_name="localrun",
        obj=context,
        standalone_mode=False,
    )
    assert called == [1]


def test_a_list_names_the_nodes_on_which_rows_of_a_running_batch_run(localrun: Command) -> None:
    store = BatchStore(localrun.folder / "home")
    record = store.create("nightly", bundle="bundle", nodes={"node2": 3, "node1": 4})
    lock = store.acquire(record)
    listed = localrun("list")
    os.close(lock)
    told = "rows of batch nightly run on nodes: node1 4, node2 3; they are listed when they have ended\n"
    assert listed.err.endswith(told)
    assert told not in localrun("list").err  # its process has died
