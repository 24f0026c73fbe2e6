"""`localrun debug`: tasks in the form of iExec."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from localrun.app import App
from localrun.cli import as_system, iexec_view
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.platforms.vocabulary import glossary
from localrun.settings import Settings
from localrun.task.states import TaskState
from tests.cli.command import Command, add
from tests.cli.test_commands import running
from tests.support.environment import make_environment

HAPPY = ["RECEIVED", "INITIALIZED", "RUNNING", "RESULT_UPLOADING", "COMPLETED"]
WORKED = [
    "CREATED",
    "STARTING",
    "STARTED",
    "APP_DOWNLOADING",
    "APP_DOWNLOADED",
    "DATA_DOWNLOADED",
    "COMPUTING",
    "COMPUTED",
    "RESULT_UPLOADING",
    "COMPLETED",
]


def statuses(history: list[dict[str, Any]]) -> list[str]:
    return [entry["status"] for entry in history]


def test_a_task_that_ended_well_is_told_with_the_keys_of_iexec(localrun: Command) -> None:
    # Given a task that finished
    localrun.run()

    # When it is shown
    found = localrun("debug", "last", "--json").json

    # Then the keys are those of iExec, and both histories are complete
    assert list(found) == ["ok", "local", "offchainData"]
    assert found["ok"] is True
    task, (replicate,) = found["offchainData"]["task"], found["offchainData"]["replicates"]
    assert (task["status"], statuses(task["statusHistory"])) == ("COMPLETED", HAPPY)
    assert (replicate["worker"], replicate["exitCode"]) == ("local-1", 0)
    assert (replicate["status"], statuses(replicate["statusHistory"])) == ("COMPLETED", WORKED)
    assert found["local"]["statusName"] == "COMPLETED"
    assert Path(found["local"]["results"]["location"], "sum").read_text() == "7"


def test_every_status_has_its_time_and_they_come_in_order(localrun: Command) -> None:
    localrun.run()
    data = localrun("debug", "last", "--raw").json["offchainData"]
    for history in (data["task"]["statusHistory"], data["replicates"][0]["statusHistory"]):
        moments = [datetime.fromisoformat(entry["date"]) for entry in history]
        assert moments == sorted(moments)
        assert all(entry["date"].endswith("Z") for entry in history)


def test_a_failure_stands_at_the_replicate_with_iexecs_cause_and_before_failed_with_its_reason(
    localrun: Command,
) -> None:
    # Given a program that fails
    localrun.program = lambda _: 3
    localrun.run()

    # Then the replicate has the cause and the exit code, and the task the reason
    found = localrun("debug", "last", "--json").json
    (replicate,) = found["offchainData"]["replicates"]
    assert replicate["exitCode"] == 3
    assert {"status": "COMPUTE_FAILED", "cause": "APP_COMPUTE_FAILED"}.items() <= replicate["statusHistory"][
        -1
    ].items()
    assert statuses(found["offchainData"]["task"]["statusHistory"])[-2:] == ["RUNNING_FAILED", "FAILED"]
    assert (found["local"]["cause"], found["local"]["statusName"]) == ("EXIT_NONZERO", "FAILED")


def ending(code: int) -> Callable[[FakeContainer], int]:
    return lambda _: code


def test_every_status_and_cause_that_is_told_is_a_word_that_explain_knows(localrun: Command) -> None:
    for exit_code in (0, 3, 137):
        localrun.program = ending(exit_code)
        localrun.run()
        data = localrun("debug", "last", "--json").json["offchainData"]
        words = {("task status", entry["status"]) for entry in data["task"]["statusHistory"]} | {
            pair
            for entry in data["replicates"][0]["statusHistory"]
            for pair in (
                ("replicate status", entry["status"]),
                ("failure cause", entry.get("cause", "UNKNOWN")),
            )
        }
        known = {(word.kind, word.name) for word in glossary.terms("iexec")}
        assert words <= known


def test_a_running_task_is_shown_by_another_process(localrun: Command) -> None:
    # Given a running task of another app
    with running(localrun):
        found = localrun("debug", "last", "--json", "--logs").json

    # Then its history and log so far are shown
    assert found["offchainData"]["task"]["status"] == "RUNNING"
    (replicate,) = found["offchainData"]["replicates"]
    assert (replicate["status"], replicate["exitCode"]) == ("COMPUTING", None)
    assert found["local"]["statusName"] == "ACTIVE"


def speak(container: FakeContainer) -> int:
    container.stdout.write("fine\n")
    container.stderr.write("trouble \x1b]0;title\x07\n")
    container.stdout.write("x" * 100_001)
    return 1


def test_logs_are_told_stream_by_stream_and_only_their_ends(localrun: Command) -> None:
    localrun.program = speak
    localrun.run()
    (log,) = localrun("debug", "last", "--json", "--logs").json["appLogs"]
    assert (log["worker"], log["stdout"]) == ("local-1", "x" * 100_000)
    assert log["stderr"] == "trouble \x1b]0;title\x07\n"


def test_people_read_three_blocks_and_no_log_can_steer_their_terminal(localrun: Command) -> None:
    localrun.program = speak
    localrun.run()
    shown = localrun("debug", "last", "--logs").out
    heads = [line for line in shown.splitlines() if not line.startswith(" ")]
    assert heads == ["Local data", "Off-chain data", "App logs"]
    assert "replicate local-1: COMPUTE_FAILED, exit code 1" in shown
    assert "COMPUTE_FAILED (APP_COMPUTE_FAILED)" in shown
    assert "trouble \\x1b]0;title\\x07" in shown
    assert "\x1b" not in shown


def test_a_stream_without_output_says_so(localrun: Command) -> None:
    localrun.run()
    assert "local-1 stderr: no output" in localrun("debug", "last", "--logs").out


def test_a_task_without_a_container_has_no_replicates(localrun: Command, tmp_path: Path) -> None:
    app = App(
        Settings(home=tmp_path / "home", cache=tmp_path / "cache", ledger=tmp_path / "ledger" / "l.json"),
        FakeEngine(),
    )
    task = app.manager.create_task({"what": "think"})
    app.manager.complete_task(task.id, {})
    app.close()
    found = localrun("debug", task.id, "--json", "--logs").json
    assert (found["offchainData"]["replicates"], found["appLogs"]) == ([], [])
    assert found["offchainData"]["task"]["status"] == "COMPLETED"


def test_an_unknown_task_is_one_json_line_on_standard_error_when_raw(localrun: Command) -> None:
    refused = localrun("debug", "nothing", "--raw")
    told = json.loads(refused.err)
    assert (refused.code, refused.out) == (2, "")
    assert (told["ok"], told["command"], told["error"]["name"]) == (False, "debug", "TaskNotFound")


@pytest.mark.parametrize("option", ["--json", None])
def test_an_unknown_task_is_refused_as_by_every_command(localrun: Command, option: str | None) -> None:
    refused = localrun("debug", "nothing", *([option] if option else []))
    assert refused.code == 2
    assert "no task 'nothing'" in refused.err


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_statuses_with_the_same_time_have_the_order_in_which_iexec_sets_them(
    tmp_path: Path, seconds: float
) -> None:
    # Given a program that ended before its start was noted, and a clock that shows the same time for a while
    with make_environment(tmp_path, engine=FakeEngine(add)) as env:
        record = env.run(values={"a": 3, "b": 4})
    history = [(state, record.created + number * seconds) for number, (state, _) in enumerate(record.history)]
    (_, pending), (_, running), _ = history[-3:]
    times = zip(record.steps, (pending, running, running), strict=True)
    steps = [step.replace(started=time, finished=time) for step, time in times]

    # When it is shown
    shown = iexec_view.view(record.replace(history=history, steps=steps), [])

    # Then each status is there once
    (replicate,) = shown["offchainData"]["replicates"]
    assert statuses(replicate["statusHistory"]) == WORKED


def test_a_clock_that_was_set_back_does_not_change_the_order_of_statuses(tmp_path: Path) -> None:
    with make_environment(tmp_path, engine=FakeEngine(add)) as env:
        record = env.run(values={"a": 3, "b": 4})
    history = [(state, since - 3600 * (state is TaskState.FINISHED)) for state, since in record.history]
    assert [word for word, _ in as_system.history(record.replace(history=history), "iexec")] == HAPPY
