"""Metadata on the command line, and the selection of tasks by it."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import Command


def test_metadata_of_a_run_is_json_or_text(localrun: Command) -> None:
    given = ("--metadata", "sample=A1", "--metadata", "run=3", "--metadata", 'tags=["x"]')
    assert localrun.run(*given, "--json").json["metadata"] == {"sample": "A1", "run": 3, "tags": ["x"]}
    for command in ("status", "info"):
        assert localrun(command, "last", "--json").json["metadata"]["run"] == 3
    assert localrun("list", "--json").json[0]["metadata"]["sample"] == "A1"
    status = localrun("status", "last").out
    assert "metadata    sample = A1\n            run = 3\n" in status
    assert "run: 3\n" in localrun("describe", "last").out


def test_a_run_without_metadata_has_no_key(localrun: Command) -> None:
    assert "metadata" not in localrun.run("--json").json


@pytest.mark.parametrize("text", ["sample", "=x"])
def test_metadata_needs_a_key_and_a_value(localrun: Command, text: str) -> None:
    result = localrun.run("--metadata", text)
    assert (result.code, f"'{text}' is not KEY=VALUE" in result.err) == (2, True)
    assert localrun("list", "--json").json == []


def test_tasks_are_listed_by_metadata_name_and_time(localrun: Command) -> None:
    first, second = (
        localrun.run("--metadata", f"sample={name}", "--metadata", "batch=7", "--json").json["id"]
        for name in ("A1", "A2")
    )
    plain = localrun.run("--json").json["id"]

    def listed(*conditions: str) -> list[str]:
        return localrun("list", "-q", *conditions).out.split()

    assert listed() == [plain, second, first]
    assert listed("--metadata", "sample=A1") == [first]
    assert listed("--metadata", "batch=7") == [second, first]
    assert listed("--metadata", "batch") == [second, first]
    assert listed("--metadata", "batch=7", "--metadata", "sample=A2") == [second]
    assert listed("--metadata", "batch=8") == []
    assert listed("--metadata", "batch=7", "-n", "1") == [second]
    assert listed("--metadata", "batch", "--all") == [second, first]
    assert listed("--name", "add*", "--since", "1h", "--state", "finished") == [plain, second, first]
    assert listed("--name", "add") == []
    assert listed("--since", "2999-01-01") == []


def test_the_table_shows_metadata_if_a_task_has_some(localrun: Command) -> None:
    localrun.run()
    assert "METADATA" not in localrun("list").out
    localrun.run("--metadata", "sample=A1", "--metadata", 'tags=["x"]')
    localrun.run("--metadata", f"long={'x' * 100}")
    heads, long, short, none = (line.split()[-1] for line in localrun("list").out.splitlines())
    assert (heads, none) == ("METADATA", "-")
    assert 'sample=A1 tags=["x"]' in localrun("list").out
    assert short == 'tags=["x"]'
    assert (len(long), long[-4:]) == (60, "x...")


def test_a_selection_without_tasks_does_not_claim_that_there_are_none(localrun: Command) -> None:
    localrun.run()
    for condition in (
        ("--state", "failed"),
        ("--name", "x"),
        ("--since", "2999-01-01"),
        ("--metadata", "x=1"),
    ):
        assert localrun("list", *condition).err.startswith("no task of this folder matches")


def test_invalid_conditions_are_usage_errors(localrun: Command) -> None:
    result = localrun("list", "--since", "yesterday")
    assert (result.code, "'yesterday' is not a time; expected e.g. 2h" in result.err) == (2, True)
    assert localrun("list", "--metadata", "=x").code == 2
    assert localrun("list", "-q", "--watch").code == 2


def test_a_rerun_keeps_metadata_and_changes_single_values(localrun: Command) -> None:
    localrun.run("--metadata", "sample=A1", "--metadata", "try=1")
    again = localrun("rerun", "last", "--metadata", "try=2", "--json").json
    assert again["metadata"] == {"sample": "A1", "try": 2}


def test_metadata_is_exported_and_imported(localrun: Command) -> None:
    notes = {"sample": "A1", "tags": ["x"]}
    first = localrun.run("--metadata", "sample=A1", "--metadata", 'tags=["x"]', "--json").json
    plain = localrun.run("--json").json["id"]
    file = localrun.folder / "tasks.jsonl"
    assert localrun("export", file).code == 0
    for task_id in (first["id"], plain):
        localrun("rm", task_id)
    assert localrun("import", file).code == 0
    found = {one["id"]: one for one in localrun("list", "--json").json}
    assert found[first["id"]]["metadata"] == notes
    assert found[first["id"]]["outputs"] == first["outputs"]
    assert "metadata" not in found[plain]
    assert "metadata" not in json.loads(
        (localrun.folder / "home/tasks" / first["id"] / "task.json").read_text()
    )
