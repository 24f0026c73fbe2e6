"""`localrun run --replicas`, and the other commands for tasks with replicas."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from localrun.engines.fake import FakeContainer
from localrun.manager import replicas
from tests.cli.command import Command


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "START_INTERVAL", 0.0)


def giving(*texts: str | None) -> Callable[[FakeContainer], int]:
    """Return a program in which the nth replica writes the nth text; None makes it fail."""

    def program(container: FakeContainer) -> int:
        number = int(container.environment["PYTHONHASHSEED"])
        text = texts[number - 1]
        container.stdout.write(f"replica {number} wrote this\n")
        if text is None:
            return 3
        container.path("/outputs/sum").write_text(text)
        return 0

    return program


def test_replicas_that_agree_exit_0_and_every_variation_is_named(localrun: Command) -> None:
    localrun.program = giving("3", "3", "3")
    ran = localrun.run("--replicas", "3")
    assert ran.code == 0
    assert "output sum: 3" in ran.out
    for line in (
        "all 3 replicas gave the same result",
        "varied hostname: replica-1, replica-2, replica-3",
        "varied TZ: GMT+12, GMT-14, UTC0",
        "varied PYTHONHASHSEED: 1, 2, 3",
        "varied start: ",
    ):
        assert line in ran.err


def test_replicas_that_disagree_exit_9_and_the_report_shows_file_place_and_values(localrun: Command) -> None:
    localrun.program = giving("31", "32", "31")
    ran = localrun.run("--replicas", "3")
    assert ran.code == 9
    said = ran.err[ran.err.index("FAILED (NO_CONSENSUS)") :].splitlines()
    assert said[1:4] == [
        "  - outputs/sum: differs at line 1, column 2 (byte 1)",
        "      replicas 1 and 3: '31'",
        "      replica 2: '32'",
    ]
    assert any(line.startswith("  see also: localrun outputs ") for line in said)


def test_the_json_record_has_groups_differences_and_variations(localrun: Command) -> None:
    localrun.program = giving("31", "32", "31")
    ran = localrun.run("--replicas", "3", "--json")
    found = ran.json["replication"]
    assert ran.json["cause"] == "NO_CONSENSUS"
    assert [group["replicas"] for group in found["groups"]] == [[1, 3], [2]]
    (one,) = found["disagreements"]
    assert (one["path"], one["line"], one["column"], one["offset"]) == ("sum", 1, 2, 1)
    assert found["varied"]["TZ"] == ["GMT+12", "GMT-14", "UTC0"]
    assert "replica" not in ran.json


def test_enough_that_agree_are_enough(localrun: Command) -> None:
    localrun.program = giving("3", "4", "3")
    ran = localrun.run("--replicas", "3", "--agree", "2", "--json")
    assert (ran.code, ran.json["outputs"]) == (0, {"sum": 3})
    assert ran.json["warnings"] == ["outputs/sum differs at line 1, column 1 (byte 0)"]


def test_replicas_that_all_fail_exit_as_one_would(localrun: Command) -> None:
    localrun.program = giving(None, None)
    ran = localrun.run("--replicas", "2")
    assert (ran.code, "FAILED (EXIT_NONZERO): all 2 replicas failed; replica 1: " in ran.err) == (1, True)


@pytest.mark.parametrize(
    "options", [["--replicas", "3", "--agree", "1"], ["--agree", "2"], ["--replicas", "101"]]
)
def test_numbers_that_do_not_fit_are_a_wrong_call(localrun: Command, options: list[str]) -> None:
    refused = localrun.run(*options)
    assert refused.code == 2
    assert "invalid replicas" in refused.err
    assert localrun("list").out == ""


def test_outputs_are_copied_from_the_result_that_won(localrun: Command) -> None:
    localrun.program = giving("4", "3", "3")
    localrun.run("--replicas", "3", "--agree", "2", "-o", localrun.folder / "out")
    assert (localrun.folder / "out" / "sum").read_text() == "3"


def test_the_list_shows_replicas_only_when_asked_for_all(localrun: Command) -> None:
    localrun.program = giving("3", "3")
    localrun.run("--replicas", "2")
    assert len(localrun("list").out.splitlines()) == 2
    lines = localrun("list", "-a").out.splitlines()[1:]
    assert [line.startswith("  ") for line in lines] == [False, True, True]
    numbers = [one.get("replica", {}).get("number") for one in localrun("list", "-a", "--json").json]
    assert numbers == [None, 1, 2]


def test_each_replica_has_its_own_log_outputs_and_status(localrun: Command) -> None:
    localrun.program = giving("3", "4")
    localrun.run("--replicas", "2")
    assert localrun("logs", "last/2").out == "replica 2 wrote this\n"
    assert localrun("outputs", "last/2", "--json").json["outputs"] == {"sum": 4}
    shown = localrun("status", "last/2").out
    assert "number 2 of task" in shown
    assert "hostname replica-2" in shown
    assert "localrun logs" in localrun("logs", "last").err


def test_the_status_of_the_task_tells_all_of_the_comparison(localrun: Command) -> None:
    localrun.program = giving("3", "4")
    localrun.run("--replicas", "2")
    shown = localrun("status", "last").out
    for words in (
        "2 must agree",
        "result of 1: 0x",
        "result of 2: 0x",
        "varied TZ: GMT+12, GMT-14",
        "replica 2: '4'",
    ):
        assert words in shown


def test_deleting_the_task_deletes_its_replicas(localrun: Command) -> None:
    localrun.program = giving("3", "3")
    localrun.run("--replicas", "2")
    assert localrun("rm", "last/1").code == 2
    assert localrun("rm", "--all").code == 0
    assert localrun("list", "-a").out == ""


def test_prune_takes_replicas_with_their_task_and_counts_none_for_itself(localrun: Command) -> None:
    # Given an older task with replicas, and a newer one
    localrun.program = giving("3", "3")
    localrun.run("--replicas", "2")
    localrun.run("--replicas", "2")
    older, newer = (found["id"] for found in reversed(localrun("list", "--json").json))

    # When all but the newest are pruned
    gone = localrun("prune", "--keep", "1", "--only", "task", "--json", "--yes").json["items"]

    # Then the older one and its replicas are deleted, and the newer one is complete
    assert [(item["name"], item["deleted"]) for item in gone] == [(older, True)]
    left = localrun("list", "-a", "--json").json
    assert [one["id"] == newer or one["replica"]["of"] == newer for one in left] == [True] * 3


def test_a_replica_can_be_run_again_as_it_was(localrun: Command) -> None:
    # Given a replica, and a program that writes its environment
    localrun.program = giving("3", "3")
    localrun.run("--replicas", "2")

    def program(container: FakeContainer) -> int:
        container.stdout.write(json.dumps([container.spec.hostname, container.environment]))
        container.path("/outputs/sum").write_text("3")
        return 0

    # When the second one is run again
    localrun.program = program
    assert localrun("rerun", "last/2").code == 0

    # Then it has the same host name, time zone and seed
    hostname, environment = json.loads(localrun("logs", "last").out)
    assert hostname == "replica-2"
    assert environment == {"TZ": "GMT-14", "PYTHONHASHSEED": "2"}


def test_a_task_with_replicas_can_be_run_again_with_others(localrun: Command) -> None:
    localrun.program = giving("3", "3", "3")
    localrun.run("--replicas", "3", "--agree", "2")
    assert len(localrun("rerun", "last", "--json").json["replication"]["ids"]) == 3
    assert localrun("rerun", "last", "--replicas", "2", "--json").json["replication"]["agree"] == 2


# -- in the form of iExec --------------------------------------------------------------------------


def test_debug_has_a_replicate_for_each_replica_and_the_consensus(localrun: Command) -> None:
    localrun.program = giving("3", "3", "4")
    localrun.run("--replicas", "3", "--agree", "2")
    found = localrun("debug", "last", "--json", "--logs").json
    history = [entry["status"] for entry in found["offchainData"]["task"]["statusHistory"]]
    assert history == [
        *("RECEIVED", "INITIALIZED", "RUNNING", "CONSENSUS_REACHED", "RESULT_UPLOADING", "COMPLETED"),
    ]
    replicates = found["offchainData"]["replicates"]
    assert [(one["worker"], one["status"]) for one in replicates] == [
        ("local-1", "COMPLETED"),
        ("local-2", "COMPLETED"),
        ("local-3", "FAILED"),
    ]
    assert replicates[2]["statusHistory"][-1]["cause"] == "CONSENSUS_REACHED"
    assert (found["local"]["winnerCounter"], found["local"]["contributors"]) == (
        2,
        ["local-1", "local-2", "local-3"],
    )
    assert found["local"]["consensusValue"] == found["local"]["resultDigest"] != None  # noqa: E711 - a chain
    assert [log["stdout"] for log in found["appLogs"]] == [f"replica {n} wrote this\n" for n in (1, 2, 3)]


def test_debug_tells_a_disagreement_as_a_contribution_that_came_to_nothing(localrun: Command) -> None:
    localrun.program = giving("3", "4", None)
    localrun.run("--replicas", "3")
    data = localrun("debug", "last", "--json").json["offchainData"]
    assert [entry["status"] for entry in data["task"]["statusHistory"]][-2:] == [
        "CONTRIBUTION_TIMEOUT",
        "FAILED",
    ]
    ends = [(one["status"], one["statusHistory"][-1]["cause"]) for one in data["replicates"]]
    assert ends == [
        ("FAILED", "CONTRIBUTION_TIMEOUT"),
        ("FAILED", "CONTRIBUTION_TIMEOUT"),
        ("COMPUTE_FAILED", "APP_COMPUTE_FAILED"),
    ]
