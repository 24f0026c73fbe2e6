"""Batches that are resumed: with other rows, another bundle, other options, or after a crash."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from localrun.batch.resumption import changes
from localrun.batch.store import BatchStore
from localrun.batch.table import TableRows
from localrun.errors import InputsError, UsageError
from localrun.values.references import TaskOutput
from tests.batch.test_batch import fail_on
from tests.batch.work import Project, pairs
from tests.cli.command import add


def outputs_of(project: Project) -> dict[str, str]:
    """Return the sums in the folders of the rows."""
    return {path.parent.name: path.read_text() for path in (project.folder / "out").glob("*/sum.txt")}


def test_rows_are_recognised_by_their_content_wherever_they_are(project: Project) -> None:
    assert project.run(pairs(1, 2, 3)) == [1, 2, 3]
    assert project.run(pairs(9, 3, 1, 2, 8), resume=True) == [8, 9]
    assert [(row["id"], row["a"], row["sum"]) for row in project.rows] == [
        ("0001", "9", "10"),
        ("0002", "3", "4"),
        ("0003", "1", "2"),
        ("0004", "2", "3"),
        ("0005", "8", "9"),
    ]
    assert "3 of 5 rows have ended" in project.notes[0]


def test_results_of_rows_that_are_gone_are_kept_beside_the_batch(project: Project) -> None:
    project.run(pairs(1, 2, 3))
    assert project.run(pairs(1, 4), resume=True) == [4]
    assert [row["a"] for row in project.rows] == ["1", "4"]
    (dropped,) = (project.home / "batches").glob("*/dropped.jsonl")
    assert sorted(json.loads(line)["inputs"]["a"] for line in dropped.read_text().splitlines()) == [2, 3]
    assert f"2 results of rows that are no longer in the batch moved to {dropped}" in project.notes


def test_the_content_of_a_file_counts_not_its_name_or_time(project: Project) -> None:
    (project.folder / "a.txt").write_text("5")
    rows = [{"a": 1, "b": 1, "more": project.folder / "a.txt"}]
    project.bundle.write_text(
        project.bundle.read_text().replace(
            "outputs:", "  more: {type: file, description: d, display_name: M}\noutputs:"
        )
    )
    assert project.run(rows) == [1]
    renamed = (project.folder / "a.txt").rename(project.folder / "b.txt")
    os.utime(renamed, (1, 1))
    rows[0]["more"] = renamed
    assert project.run(rows, resume=True) == []
    renamed.write_text("6")
    assert project.run(rows, resume=True) == [1]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"bundle": "description: other"}, "the descriptor"),
        ({"hardened": True}, "--hardened"),
        ({"network": True}, "network access"),
        ({"environment": {"X": "1"}}, "--environment"),
    ],
)
def test_a_change_of_what_all_rows_share_runs_all_rows_again_and_is_named(
    project: Project, change: dict[str, Any], named: str
) -> None:
    project.run(pairs(1, 2))
    if "bundle" in change:
        project.bundle.write_text(
            project.bundle.read_text().replace("description: one", change.pop("bundle"))
        )
    project.request = project.request.replace(**change)
    assert project.run(pairs(1, 2), resume=True) == [1, 2]
    assert f"all rows run again, because this has changed: {named}" in project.notes
    assert any(note.startswith("2 results of an earlier run moved to") for note in project.notes)


def test_other_limits_do_not_run_rows_again(project: Project) -> None:
    project.run(pairs(1, 2))
    project.request = project.request.replace(memory=256 * 1024**2, cpus=0.5, timeout=60.0, retries=2)
    assert project.run(pairs(1, 2), resume=True) == []


def test_changes_are_found_by_name() -> None:
    assert changes({"image": "1", "gpus": "0"}, {"image": "2", "gpus": "0", "new": "x"}) == ["the image"]
    assert changes({}, {"image": "2"}) == []


def test_failed_rows_run_again_on_request_only(project: Project) -> None:
    project.program = fail_on(2)
    project.run(pairs(1, 2, 3))
    project.program = add
    assert project.run(pairs(1, 2, 3), resume=True) == []
    assert [row["state"] for row in project.rows] == ["FINISHED", "FAILED", "FINISHED"]
    assert project.run(pairs(1, 2, 3), resume=True, rerun_failed=True) == [2]
    assert "1 failed row to run again" in project.notes[0]
    assert [row["state"] for row in project.rows] == ["FINISHED"] * 3
    assert len(project.rows) == len(project.lines) == 3


def test_a_row_that_fails_again_has_one_result(project: Project) -> None:
    project.program = fail_on(2)
    for _ in range(3):
        project.run(pairs(1, 2), resume=True, rerun_failed=True)
    assert [row["state"] for row in project.rows] == ["FINISHED", "FAILED"]
    assert project.started == [2]


def test_a_crash_between_the_end_of_a_task_and_its_result_repeats_nothing(project: Project) -> None:
    """The results are lost, and the tasks of the rows have ended."""
    project.program = fail_on(2)
    project.run(pairs(1, 2, 3))
    expected = project.lines
    lines = project.results.with_suffix(".jsonl").read_text().splitlines(keepends=True)
    project.results.with_suffix(".jsonl").write_text(lines[0] + lines[1][:-20])  # a torn line
    assert project.run(pairs(1, 2, 3), resume=True) == []
    assert project.lines == expected
    assert [row["state"] for row in project.rows] == ["FINISHED", "FAILED", "FINISHED"]


def test_deleted_results_are_written_again_from_the_tasks(project: Project) -> None:
    project.run(pairs(1, 2))
    project.results.unlink()
    project.results.with_suffix(".jsonl").unlink()
    assert project.run(pairs(1, 2), resume=True) == []
    assert [row["sum"] for row in project.rows] == ["2", "3"]


def test_a_damaged_line_is_reported_and_its_row_is_taken_from_its_task(project: Project) -> None:
    project.run(pairs(1, 2))
    path = project.results.with_suffix(".jsonl")
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0]}\n{{}}\n")
    assert project.run(pairs(1, 2), resume=True) == []
    assert f"{path}:2: the line is damaged and was removed" in project.notes
    assert len(project.rows) == 2


def test_a_row_in_flight_whose_process_died_is_adopted(project: Project) -> None:
    """The task is submitted, and its process forgets it; another one finds it by its id."""
    app = project.app()
    batch = project.batch(pairs(1, 2), app=app)
    batch._open()
    rows = list(batch._identified())
    app.manager.submit(rows[0].request(project.request).replace(detached=True), task_id=rows[0].task_id(1))
    app.manager.wait_for(rows[0].task_id(1))
    os.close(batch._lock or 0)
    assert project.run(pairs(1, 2), resume=True) == [2]


def test_a_row_whose_process_died_while_it_created_the_task_starts_again(project: Project) -> None:
    batch = project.batch(pairs(1), app=project.app())
    batch._open()
    (row,) = batch._identified()
    os.close(batch._lock or 0)
    (project.home / "tasks" / row.task_id(1) / "inputs").mkdir(parents=True)
    (project.home / "active").mkdir(exist_ok=True)
    (project.home / "active" / row.task_id(1)).touch()
    assert project.run(pairs(1), resume=True) == [1]
    assert [row["state"] for row in project.rows] == ["FINISHED"]


def test_resume_without_an_earlier_batch_runs_all_rows_and_says_so(project: Project) -> None:
    assert project.run(pairs(1), resume=True) == [1]
    assert project.notes == ["there is nothing to resume, so all rows run"]


@pytest.mark.parametrize("name", ["results.csv", "results.jsonl"])
def test_a_file_that_is_not_a_table_of_results_is_never_replaced(project: Project, name: str) -> None:
    (project.folder / name).write_text("mine")
    for resume in (False, True):
        with pytest.raises(UsageError, match="is not the results of a batch of this folder"):
            project.run(pairs(1), resume=resume)
    assert (project.folder / name).read_text() == "mine"
    assert not project.notes


def test_a_new_batch_keeps_the_results_of_the_one_that_it_replaces(project: Project) -> None:
    project.run(pairs(1, 2))
    before = project.lines
    assert project.run(pairs(3)) == [3]
    assert [row["a"] for row in project.rows] == ["3"]
    newest, oldest = BatchStore(project.home).newest_first()
    assert newest.results == str(project.results.with_suffix(".jsonl"))
    kept = [json.loads(line) for line in Path(oldest.results).read_text().splitlines()]
    assert sorted(kept, key=lambda line: int(line["row"])) == before


def test_a_new_batch_runs_the_same_rows_again(project: Project) -> None:
    project.run(pairs(1, 2))
    assert project.run(pairs(1, 2)) == [1, 2]


def test_a_row_may_use_the_output_of_a_task(project: Project) -> None:
    app = project.app()
    task = app.manager.submit(project.request.replace(values={"a": 3, "b": 4}))
    app.manager.wait(task)
    rows = [{"a": TaskOutput(task.id, "sum"), "b": 1}]
    assert project.run(rows) == [7]
    assert project.lines[0]["inputs"]["a"] == f"@task:{task.id}/sum"
    assert project.run(rows, resume=True) == []


# -- outputs -----------------------------------------------------------------------------------------


def test_outputs_are_copied_to_a_folder_for_each_row_with_extensions(project: Project) -> None:
    out = project.folder / "out"
    project.run(pairs(1, 2), output=out)
    assert outputs_of(project) == {"0001": "2", "0002": "3"}


def test_outputs_move_with_their_rows(project: Project) -> None:
    out = project.folder / "out"
    project.run(pairs(1, 2, 3), output=out)
    project.run(pairs(9, 1, 3, 2), output=out, resume=True)
    assert outputs_of(project) == {"0001": "10", "0002": "2", "0003": "4", "0004": "3"}
    assert not list(out.glob(".*"))


def test_outputs_of_rows_that_are_gone_are_kept_under_another_name(project: Project) -> None:
    out = project.folder / "out"
    project.run(pairs(1, 2), output=out)
    project.run(pairs(2), output=out, resume=True)
    assert outputs_of(project) == {"0001": "3", "0001.old": "2"}
    assert any("belongs to no row any more" in note for note in project.notes)


@pytest.mark.parametrize("moment", ["first", "replaced"])
def test_a_crash_while_outputs_move_loses_none(
    project: Project, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from localrun.batch import delivery, results

    out = project.folder / "out"
    project.run(pairs(1, 2, 3), output=out)
    calls = 0

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "first":  # some folders are set aside, the results are not yet replaced
            original = delivery.OutputFolder.set_aside

            def set_aside(*given: Any) -> None:
                nonlocal calls
                calls += 1
                original(*given)
                if calls == 2:
                    die()

            patch.setattr(delivery.OutputFolder, "set_aside", set_aside)
        else:
            replace = results.ResultTable.replace

            def replace_and_die(*given: Any) -> None:
                replace(*given)
                die()

            patch.setattr(results.ResultTable, "replace", replace_and_die)
        with pytest.raises(KeyboardInterrupt):
            project.run(pairs(9, 1, 3, 2), output=out, resume=True)
    assert project.run(pairs(9, 1, 3, 2), output=out, resume=True) == [9]
    assert outputs_of(project) == {"0001": "10", "0002": "2", "0003": "4", "0004": "3"}


def test_another_folder_of_outputs_gets_those_of_all_rows(project: Project) -> None:
    project.run(pairs(1, 2))
    assert project.run(pairs(1, 2, 3), output=project.folder / "out", resume=True) == [3]
    assert outputs_of(project) == {"0001": "2", "0002": "3", "0003": "4"}


def test_paths_in_the_results_are_written_as_the_folder_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.bundle.write_text(
        project.bundle.read_text().replace(
            "{type: integer, description: both", "{type: file, description: both"
        )
    )
    monkeypatch.chdir(project.folder)
    project.run(pairs(1, 2), output=Path("out"), results=None)
    lines = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    assert sorted(line["outputs"]["sum"] for line in lines) == ["out/0001/sum.txt", "out/0002/sum.txt"]
    project.run(pairs(7, 1, 2), output=Path("out"), results=None, resume=True)
    lines = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    assert {line["inputs"]["a"]: line["outputs"]["sum"] for line in lines} == {
        1: "out/0002/sum.txt",
        2: "out/0003/sum.txt",
        7: "out/0001/sum.txt",
    }


@pytest.mark.parametrize("name", ["sums.csv", "sums.jsonl"])
def test_no_row_is_named_as_the_table_between_the_folders_of_the_rows(project: Project, name: str) -> None:
    out = project.folder / "out"
    rows = [{"id": name, "a": 1, "b": 1}]
    with pytest.raises(InputsError) as caught:
        project.run(rows, output=out, results=out / "sums.csv")
    assert "is the name of the table of results" in caught.value.problems[0].message
    assert project.run(rows, output=out, results=project.folder / "sums.csv") == [1]


def test_the_id_of_a_row_is_the_name_of_its_folder(project: Project) -> None:
    table = project.folder / "t.csv"
    table.write_text("id,a,b\nleft,1,1\n,2,1\n")
    project.run(TableRows(table), output=project.folder / "out")
    assert outputs_of(project) == {"left": "2", "0002": "3"}
    table.write_text("id,a,b\nleft,1,1\nright,2,1\n")
    assert project.run(TableRows(table), output=project.folder / "out", resume=True) == []
    assert outputs_of(project) == {"left": "2", "right": "3"}
