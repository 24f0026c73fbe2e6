"""`localrun explain`, and `--as SYSTEM`."""

from __future__ import annotations

import pytest

from localrun.cli import as_system
from localrun.cli.exit_codes import code_for_cause
from localrun.errors import Cause
from localrun.platforms.vocabulary import glossary
from localrun.platforms.vocabulary.systems import SYSTEMS, TITLES
from localrun.task.record import StepRecord, TaskRecord
from localrun.task.states import StepName, TaskState
from tests.cli.command import Command

# -- explain ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["stalled", "stalled output", "TaskOutputStalled"])
def test_a_stalled_output_is_explained_although_it_is_no_cause_of_an_end(
    localrun: Command, word: str
) -> None:
    shown = localrun("explain", word)
    assert shown.code == 0
    assert "half an hour" in shown.out
    assert "LOCALRUN_STALL" in localrun("explain", "STALLED").out


def test_a_cause_is_told_with_its_fault_its_exit_code_and_what_others_call_it(localrun: Command) -> None:
    done = localrun("explain", "TIMEOUT")
    assert (done.code, done.err) == (0, "")
    sheet = done.out.split("\n\n")[0].splitlines()
    assert sheet == [
        "TIMEOUT (localrun, cause)",
        "  The task exceeded its time limit. The limit was too short, or the program hangs.",
        "  responsible: the author of the task's program; exit code 124",
        "  App Engine: FAILED",
        "  Inductiva: Task Timed Out",
        "  iExec: FAILED, CONTRIBUTION_TIMEOUT, COMPUTE_FAILED, APP_COMPUTE_TIMEOUT",
        "  Task System: error",
        "  hint: Raise `--timeout`; the end of the log shows where the program was.",
    ]


@pytest.mark.parametrize("cause", list(Cause), ids=str)
def test_every_cause_is_told_with_its_exit_code(localrun: Command, cause: Cause) -> None:
    sheets = localrun("explain", cause).out.split("\n\n")
    (own,) = (sheet for sheet in sheets if sheet.startswith(f"{cause} (localrun, cause)"))
    assert f"; exit code {int(code_for_cause(cause))}\n" in own
    assert all(f"\n  {TITLES[system]}: " in own for system in SYSTEMS)


def test_a_word_of_another_system_is_told_with_its_local_equivalent(localrun: Command) -> None:
    assert localrun("explain", "OOMKilled").out.splitlines() == [
        "OOMKilled (App Engine, container reason)",
        "  The kernel killed the program because it exceeded its memory limit.",
        "  here: FAILED, cause OUT_OF_MEMORY",
        "  hint: Raise `configuration.resources.ram` or `--memory`, or process less data at once.",
    ]


@pytest.mark.parametrize(
    ("word", "place", "reason"),
    [
        ("OUT_OF_GAS", "on a blockchain", "deposits"),
        ("UNKNOWN_SMS", "in an enclave", "secrets"),
        ("Spot Reclaimed", "in a cloud", "rented"),
        ("inputs-sending", "in a cluster", "no disk"),
    ],
)
def test_a_word_that_exists_only_elsewhere_says_so_and_why(
    localrun: Command, word: str, place: str, reason: str
) -> None:
    text = localrun("explain", word).out
    assert f"\n  exists only {place}: " in text
    assert reason in text


def test_what_comes_nearest_to_a_word_of_elsewhere_is_said(localrun: Command) -> None:
    assert "\n  closest here: FAILED, cause INPUTS_INVALID\n" in (
        localrun("explain", "PRE_COMPUTE_DATASET_DOWNLOAD_FAILED").out
    )


def test_a_word_that_is_no_state_of_a_task_says_what_is_like_it(localrun: Command) -> None:
    assert "\n  here: exit code 2, or 404 from `localrun serve`\n" in localrun("explain", "404").out


@pytest.mark.parametrize(
    "words", [("in progress",), ("In", "Progress"), ("IN_PROGRESS",), ("computation-started",)]
)
def test_a_word_may_be_written_in_many_ways(localrun: Command, words: tuple[str, ...]) -> None:
    done = localrun("explain", *words)
    assert done.out.startswith("In Progress (Inductiva, status, also computation-started)\n")


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("300", 100), ("", 100), ("3", 40)])
def test_a_meaning_is_wrapped_to_the_terminal(
    localrun: Command, monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = localrun("explain", "RUNNING_FAILED").out.splitlines()
    assert width - 25 < max(map(len, lines)) <= width
    assert lines[0] == "RUNNING_FAILED (iExec, task status)"[:width]
    assert all(line.startswith("  ") for line in lines[1:])


def test_causes_of_the_same_state_are_joined(localrun: Command) -> None:
    text = " ".join(localrun("explain", "RUNNING_FAILED").out.split())
    assert "here: FAILED, cause INPUTS_INVALID, DATASET_CHECKSUM, " in text
    assert "ENGINE_FAILED or INTERNAL hint: " in text


def test_a_word_of_several_systems_shows_all_its_meanings(localrun: Command) -> None:
    heads = [sheet.splitlines()[0] for sheet in localrun("explain", "completed").out.split("\n\n")]
    assert heads == [
        "Completed (App Engine, container reason)",
        "COMPLETED (iExec, task status)",
        "COMPLETED (iExec, replicate status)",
        "COMPLETED (iExec, on-chain status)",
        "completed (Task System, status)",
    ]
    only = localrun("explain", "completed", "--system", "task-system").out
    assert only.startswith("completed (Task System, status)\n")
    assert "\n\n" not in only


def test_a_word_of_another_system_than_asked_for_is_a_wrong_call(localrun: Command) -> None:
    done = localrun("explain", "OOMKilled", "--system", "inductiva")
    assert (done.code, done.out) == (2, "")
    assert "Inductiva has no term 'OOMKilled'\n  hint: it is a term of App Engine\n" in done.err


def test_a_misspelt_word_is_a_wrong_call_with_a_guess(localrun: Command) -> None:
    done = localrun("explain", "OUT_OF_MEMROY")
    assert (done.code, done.out) == (2, "")
    assert "unknown term 'OUT_OF_MEMROY'" in done.err
    assert "did you mean 'OUT_OF_MEMORY'? `localrun explain` lists all terms" in done.err


def test_a_part_of_words_names_them(localrun: Command) -> None:
    done = localrun("explain", "post_compute_computed")
    assert (done.code, "found in POST_COMPUTE_COMPUTED_FILE_NOT_FOUND\n" in done.err) == (2, True)
    assert " and 17 more\n" in localrun("explain", "tee session").err


def test_a_whole_line_is_told_by_the_words_in_it(localrun: Command) -> None:
    line = (
        "  Warning  FailedScheduling  48s  default-scheduler  0/1 nodes are available: 1 Insufficient memory."
    )
    heads = [sheet.splitlines()[0] for sheet in localrun("explain", line).out.split("\n\n")]
    assert heads == [
        "FailedScheduling (App Engine, event)",
        "nodes are available (App Engine, sheet)",
        "Insufficient resources (App Engine, situation, also Insufficient cpu, Insufficient memory)",
    ]


def test_a_word_may_hold_anything(localrun: Command) -> None:
    done = localrun("explain", "\x1b[2J\n" + "x" * 5000)
    assert (done.code, "\x1b" in done.err) == (2, False)


def test_without_a_word_all_are_listed_by_system(localrun: Command) -> None:
    lines = localrun("explain").out.splitlines()
    heads = [line for line in lines if line and not line.startswith((" ", "`"))]
    assert list(dict.fromkeys(head.split(":")[0] for head in heads)) == list(TITLES.values())
    listed = [line for line in lines if line.startswith("  ")]
    assert len(listed) == len(glossary.terms())
    for word, line in zip(glossary.terms(), listed, strict=True):
        assert line.startswith(f"  {word.name} ")
        assert line.endswith(f" (only {word.availability})") == bool(word.availability)


def test_the_list_of_one_system_has_only_its_words(localrun: Command) -> None:
    heads = [
        line for line in localrun("explain", "--system", "iexec").out.splitlines() if line[:1] not in " `"
    ]
    assert [head for head in heads if head] == [
        f"iExec: {kind}" for kind in ("task status", "replicate status", "on-chain status", "failure cause")
    ]


def test_meanings_are_one_line_of_json(localrun: Command) -> None:
    found = localrun("explain", "stake too low", "--json").json
    assert found["word"] == "stake too low"
    (meaning,) = found["meanings"]
    assert (meaning["system"], meaning["name"], meaning["only"]) == (
        "iexec",
        "STAKE_TOO_LOW",
        "on a blockchain",
    )
    assert {"state": "FAILED", "step": None, "cause": "CPU_UNAVAILABLE"} in meaning["here"]


def test_all_words_are_one_line_of_json(localrun: Command) -> None:
    found = localrun("explain", "--json").json
    assert (found["word"], len(found["meanings"])) == (None, len(glossary.terms()))
    cause = next(one for one in found["meanings"] if one["name"] == "SIGNAL")
    assert [saying["system"] for saying in cause["elsewhere"]] == list(SYSTEMS)


def test_a_word_that_is_not_known_is_json_too(localrun: Command) -> None:
    assert localrun("explain", "nonsense", "--json").json["message"] == "unknown term 'nonsense'"


# -- list and status -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "finished", "failed"),
    [
        ("app-engine", "FINISHED -", "FAILED Error"),
        ("inductiva", "Success -", "Failed -"),
        ("iexec", "COMPLETED -", "FAILED APP_COMPUTE_FAILED"),
        ("task-system", "completed -", "error -"),
    ],
)
def test_a_list_is_shown_in_the_words_of_a_system(
    localrun: Command, system: str, finished: str, failed: str
) -> None:
    localrun.run()
    localrun.program = lambda _: 1
    localrun.run()
    lines = [line.split() for line in localrun("list", "--as", system).out.splitlines()]
    assert lines[0] == ["ID", "STATUS", "CAUSE", "NAME", "AGE", "DURATION"]
    assert [" ".join(line[1:3]) for line in lines[1:]] == [failed, finished]


def test_a_list_as_json_has_the_words_beside_the_states(localrun: Command) -> None:
    localrun.run()
    (record,) = localrun("list", "--as", "inductiva", "--json").json
    assert record["state"] == "FINISHED"
    assert (record["as"]["status"], record["as"]["code"]) == ("Success", "success")
    assert "as" not in localrun("list", "--json").json[0]


def test_status_is_shown_in_the_words_of_a_system(localrun: Command) -> None:
    localrun.program = lambda _: 3
    localrun.run()
    lines = localrun("status", "last", "--as", "iexec").out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("iExec "))
    assert [line.strip() for line in lines[start : start + 4]] == [
        "iExec       FAILED",
        "reason: RUNNING_FAILED",
        "replicate: COMPUTE_FAILED",
        "cause: APP_COMPUTE_FAILED",
    ]
    assert "EXIT_NONZERO" in localrun("status", "last", "--as", "iexec").out
    assert "\nInductiva   Failed\n" in localrun("status", "last", "--as", "inductiva").out


def test_a_code_that_differs_from_its_title_is_shown_beside_it() -> None:
    record = TaskRecord(id="1", bundle="b", state=TaskState.RUNNING, step=StepName.TASK)
    assert list(as_system.status_rows(record, "inductiva")) == [
        ("Inductiva", "In Progress (computation-started)")
    ]


def test_status_as_json_has_the_words_beside_the_state(localrun: Command) -> None:
    localrun.program = lambda _: 3
    localrun.run()
    found = localrun("status", "last", "--as", "iexec", "--json").json
    assert (found["state"], found["cause"]) == ("FAILED", "EXIT_NONZERO")
    assert found["as"] == {
        "system": "iexec",
        "status": "FAILED",
        "code": "FAILED",
        "cause": "APP_COMPUTE_FAILED",
        "reason": "RUNNING_FAILED",
        "replica": "COMPUTE_FAILED",
        "history": found["as"]["history"],
    }


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("app-engine", "CREATED PROVISIONED QUEUING QUEUED PENDING RUNNING FAILED"),
        ("inductiva", "Waiting_for_Input In_Queue Preparing_to_Compute In_Progress Finalizing Failed"),
        ("iexec", "RECEIVED INITIALIZED RUNNING RESULT_UPLOADING RUNNING_FAILED FAILED"),
        ("task-system", "received processing error"),
    ],
)
def test_what_a_task_went_through_is_told_in_the_words_of_a_system(
    localrun: Command, system: str, words: str
) -> None:
    localrun.program = lambda _: 3
    localrun.run()
    told = localrun("status", "last", "--as", system, "--json").json["as"]["history"]
    assert [word for word, _ in told] == [
        word.replace("_", " ") if word[1].islower() else word for word in words.split()
    ]
    times = [since for _, since in told]
    assert times == sorted(times)
    lines = localrun("status", "last", "--as", system).out.splitlines()
    assert [line.strip()[20:] for line in lines if line.strip().startswith("20")] == [
        word for word, _ in told
    ]


def test_a_task_that_waited_anew_is_told_from_the_beginning() -> None:
    first = [TaskState(name) for name in ("CREATED", "PROVISIONED")]
    round_ = [TaskState(name) for name in ("QUEUING", "QUEUED", "PENDING", "RUNNING")]
    record = TaskRecord(
        id="1",
        bundle="b",
        state=TaskState.FAILED,
        cause="A_CAUSE_OF_LATER",
        history=[(state, float(at)) for at, state in enumerate([*first, *round_, *round_, TaskState.FAILED])],
        steps=[StepRecord(name=StepName.TASK, started=4.5)],
    )
    assert [word for word, _ in as_system.history(record, "inductiva")] == [
        *("Waiting for Input", "In Queue", "Preparing to Compute", "In Progress"),
        *("In Queue", "Preparing to Compute", "In Progress", "Runtime Error"),
    ]
    assert list(as_system.history(TaskRecord(id="1", bundle="b"), "iexec")) == []


@pytest.mark.parametrize("command", [("list",), ("status", "last")])
def test_a_system_that_is_not_known_is_a_wrong_call(localrun: Command, command: tuple[str, ...]) -> None:
    done = localrun(*command, "--as", "slurm")
    assert done.code == 2
    assert all(system in done.err for system in SYSTEMS)
