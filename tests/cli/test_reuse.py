"""`run --reuse` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Command


def ids(localrun: Command) -> list[str]:
    return [task["id"] for task in localrun("list", "--json").json]


def test_a_reused_run_is_shown_as_the_run_that_it_reuses(localrun: Command, tmp_path: Path) -> None:
    first = localrun.run()
    found = localrun.run("--reuse", "-o", tmp_path / "out")
    assert (found.code, found.out.splitlines()[0]) == (0, "output sum: 7")
    assert found.out.splitlines()[-1] == first.out.splitlines()[-1]  # state and id
    assert "reused the result of task" in found.err
    assert (tmp_path / "out/sum").read_text() == "7"
    assert len(ids(localrun)) == 1


def test_a_run_that_is_not_reused_says_why(localrun: Command) -> None:
    localrun.run()
    found = localrun.run("--reuse", values="3 5")
    assert "not reused: inputs.b 4 -> 5 (since task" in found.err
    assert found.out.splitlines()[0] == "output sum: 8"
    assert len(ids(localrun)) == 2


def test_json_says_whether_a_result_was_reused(localrun: Command) -> None:
    plain = localrun.run("--json").json
    assert "reused" not in plain
    again = localrun.run("--json", "--reuse").json
    assert again == {**plain, "reused": True}
    other = localrun.run("--json", "--reuse", values="3 5").json
    assert (other["reused"], other["not_reused"]) == (False, ["inputs.b 4 -> 5"])


def test_a_detached_run_prints_the_id_of_the_reused_task(localrun: Command) -> None:
    first = localrun.run("--json").json["id"]
    found = localrun.run("-d", "--reuse")
    assert found.out.split() == [first]
    assert f"reused the result of task {first[:8]}" in found.err
    assert localrun.run("-d", "--reuse", "--json").json["reused"] is True


def test_a_rerun_repeats_the_task_unless_it_is_told_to_reuse(localrun: Command) -> None:
    first = localrun.run("--json").json["id"]
    assert localrun("rerun", first, "--json", "--reuse").json["id"] == first
    assert localrun("rerun", first, "--json").json["id"] != first


def test_settings_reuse_results_unless_an_option_says_otherwise(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = localrun.run("--json").json["id"]
    monkeypatch.setenv("LOCALRUN_REUSE", "1")
    assert localrun.run("--json").json["id"] == first
    assert localrun.run("--json", "--no-reuse").json["id"] != first
    monkeypatch.setenv("LOCALRUN_REUSE", "sometimes")
    found = localrun.run()
    assert (found.code, "expected true, false or 'all', found 'sometimes'" in found.err) == (2, True)


def test_a_project_can_reuse_results(
    localrun: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "localrun.toml").write_text("reuse = true\n")
    first = localrun.run("--json").json["id"]
    assert localrun.run("--json").json["id"] == first


def test_tasks_with_a_network_are_reused_with_reuse_all(localrun: Command) -> None:
    first = localrun.run("--network", "--json").json["id"]
    found = localrun.run("--network", "--reuse")
    assert "not reused: it may use the network; --reuse-all includes such tasks" in found.err
    assert localrun.run("--network", "--reuse-all", "--json").json["reused"] is True
    assert first not in found.out
