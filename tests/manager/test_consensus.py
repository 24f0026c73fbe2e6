"""Consensus of replicas, computed from records and folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.errors import Cause, OutputsError
from localrun.manager import consensus
from localrun.manager.consensus import ConsensusResult
from localrun.task.record import Replica, Replication, TaskRecord
from localrun.task.states import TaskState


def ended(folder: Path, number: int, gave: str | None, cause: str = "EXIT_NONZERO") -> TaskRecord:
    """Create a replica with a text as its output `sum`, or a failed one."""
    (folder / "outputs").mkdir(parents=True)
    state = TaskState.FAILED if gave is None else TaskState.FINISHED
    if gave is not None:
        (folder / "outputs" / "sum").write_text(gave)
    return TaskRecord(
        id=f"task-{number}",
        bundle="b",
        state=state,
        history=[(TaskState.CREATED, 1.0), (TaskState.RUNNING, 2.0), (state, 3.0)],
        cause=None if gave is not None else cause,
        message="" if gave is not None else "it went wrong",
        remedy="mend it",
        replica=Replica(parent_id="whole", number=number, varied={"hostname": f"replica-{number}"}),
        folder=str(folder),
    )


def compare(tmp_path: Path, *gave: str | None, agree: int | None = None) -> ConsensusResult:
    records = {n: ended(tmp_path / str(n), n, one) for n, one in enumerate(gave, 1)}
    asked = Replication(ids=[record.id for record in records.values()], agree=agree or len(gave))
    return consensus.compare(records, asked, ["sum"])


def groups(outcome: ConsensusResult) -> list[list[int]]:
    return [group.replicas for group in outcome.replication.groups]


def test_replicas_that_give_the_same_agree(tmp_path: Path) -> None:
    outcome = compare(tmp_path, "3", "3", "3")
    assert (outcome.error, outcome.chosen, groups(outcome)) == (None, 1, [[1, 2, 3]])
    assert outcome.summary == "all 3 replicas gave the same result"
    assert outcome.replication.reached is not None


@pytest.mark.parametrize("target", ["/outputs/run/best", "run/best", "../outputs/run/best"])
def test_an_output_that_is_a_link_is_compared_by_what_it_leads_to(tmp_path: Path, target: str) -> None:
    records = {}
    for number, text in enumerate(("3", "4"), 1):
        records[number] = ended(tmp_path / str(number), number, text)
        folder = Path(records[number].folder, "outputs")
        (folder / "run").mkdir()
        (folder / "sum").rename(folder / "run/best")
        (folder / "sum").symlink_to(target)
    asked = Replication(ids=["1", "2"], agree=2)
    outcome = consensus.compare(records, asked, ["sum"])
    assert groups(outcome) == [[1], [2]]
    assert outcome.error is not None
    assert [problem.path for problem in outcome.error.problems] == ["outputs/sum"]


def test_a_link_and_a_file_with_the_same_content_agree(tmp_path: Path) -> None:
    records = {number: ended(tmp_path / str(number), number, "3") for number in (1, 2)}
    folder = Path(records[2].folder, "outputs")
    (folder / "sum").rename(folder / "real")
    (folder / "sum").symlink_to("/outputs/real")
    outcome = consensus.compare(records, Replication(ids=["1", "2"], agree=2), ["sum"])
    assert (outcome.error, groups(outcome)) == (None, [[1, 2]])


def test_one_that_gives_something_else_is_named_with_the_file_and_the_place(tmp_path: Path) -> None:
    outcome = compare(tmp_path, "3", "4", "3")
    assert outcome.error is not None
    assert outcome.error.cause is Cause.NO_CONSENSUS
    assert groups(outcome) == [[1, 3], [2]]
    assert outcome.error.message == (
        "3 of 3 replicas gave 2 different results: replicas 1 and 3; replica 2; 3 must agree"
    )
    (problem,) = outcome.error.problems
    assert problem.path == "outputs/sum"
    assert problem.message.splitlines() == [
        "differs at line 1, column 1 (byte 0)",
        "replicas 1 and 3: '3'",
        "replica 2: '4'",
    ]


def test_enough_that_agree_are_enough_and_the_others_are_a_warning(tmp_path: Path) -> None:
    outcome = compare(tmp_path, "4", "3", "3", agree=2)
    assert (outcome.error, outcome.chosen, groups(outcome)) == (None, 2, [[2, 3], [1]])
    assert outcome.warnings == ("outputs/sum differs at line 1, column 1 (byte 0)",)
    assert [one.path for one in outcome.replication.disagreements] == ["sum"]


def test_all_different_is_said_in_short(tmp_path: Path) -> None:
    outcome = compare(tmp_path, "1", "2", "3")
    assert outcome.summary == "each of the 3 replicas gave a different result"


def test_a_replica_that_failed_keeps_the_others_from_agreeing(tmp_path: Path) -> None:
    outcome = compare(tmp_path, "3", None, "3")
    assert outcome.error is not None
    assert (outcome.error.cause, outcome.replication.failed) == (Cause.NO_CONSENSUS, {"2": "EXIT_NONZERO"})
    assert [str(problem) for problem in outcome.error.problems] == [
        "replica 2: gave no result (EXIT_NONZERO): it went wrong"
    ]


def test_a_replica_that_failed_is_a_warning_when_enough_others_agree(tmp_path: Path) -> None:
    outcome = compare(tmp_path, None, "3", "3", agree=2)
    assert (outcome.error, outcome.chosen) == (None, 2)
    assert outcome.warnings == ("replica 1 gave no result (EXIT_NONZERO): it went wrong",)


def test_replicas_that_all_fail_tell_the_cause_of_the_first(tmp_path: Path) -> None:
    outcome = compare(tmp_path, None, None)
    assert outcome.error is not None
    assert (outcome.error.cause, outcome.error.remedy, outcome.chosen) == (Cause.EXIT_NONZERO, "mend it", 1)
    assert outcome.error.message == "all 2 replicas failed; replica 1: it went wrong"


def test_what_was_varied_stands_in_the_report_replica_by_replica(tmp_path: Path) -> None:
    varied = compare(tmp_path, "3", "3").replication.varied
    assert varied["hostname"] == ["replica-1", "replica-2"]
    assert varied["start"] == ["1970-01-01T00:00:02.000Z"] * 2


def test_what_is_not_declared_is_not_compared(tmp_path: Path) -> None:
    records = {n: ended(tmp_path / str(n), n, "3") for n in (1, 2)}
    (tmp_path / "1" / "outputs" / "core").write_text("1")
    found = consensus.compare(records, Replication(ids=["a", "b"], agree=2), ["sum"])
    assert found.error is None


def test_a_replica_that_was_deleted_gave_nothing(tmp_path: Path) -> None:
    records = {1: ended(tmp_path / "1", 1, "3")}
    found = consensus.compare(records, Replication(ids=["a", "b"], agree=2), ["sum"])
    assert (found.error is not None, found.replication.failed) == (True, {"2": "gone"})


def test_outputs_that_cannot_be_read_any_more_are_one_clear_error(tmp_path: Path) -> None:
    records = {1: ended(tmp_path / "1", 1, "3")}
    (tmp_path / "1" / "outputs" / "sum").unlink()
    (tmp_path / "1" / "outputs").rmdir()
    with pytest.raises(OutputsError, match="cannot compute the digest"):
        consensus.compare(records, Replication(ids=["a"], agree=1), ["sum"])


@pytest.mark.parametrize(
    ("replicas", "agree", "found"), [(1, None, 1), (3, None, 3), (3, 2, 2), (4, 3, 3), (100, 51, 51)]
)
def test_how_many_must_agree(replicas: int, agree: int | None, found: int) -> None:
    assert consensus.check_quorum(replicas, agree) == found


@pytest.mark.parametrize(("replicas", "agree"), [(0, None), (101, None), (3, 4), (3, 1), (4, 2), (2, 1)])
def test_numbers_that_let_two_results_win_or_none_are_refused(replicas: int, agree: int | None) -> None:
    with pytest.raises(ValueError, match=r"replicas|have to agree"):
        consensus.check_quorum(replicas, agree)
