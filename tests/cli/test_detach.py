"""`localrun run -d` and `rerun` of multiple tasks."""

from __future__ import annotations

import pytest

from tests.cli.command import Command, add


def failing(localrun: Command, count: int) -> list[str]:
    """Return the ids of tasks that have failed."""
    program, localrun.program = localrun.program, lambda _: 3
    found = [localrun.run("--json", values=f"{number} 4").json["id"] for number in range(count)]
    localrun.program = program
    return found


@pytest.mark.parametrize("option", ["-d", "--detach"])
def test_a_detached_run_prints_the_id_alone_and_does_not_run_here(localrun: Command, option: str) -> None:
    result = localrun.run(option)
    task_id = result.out.strip()
    assert (result.code, result.out.count("\n"), len(task_id)) == (0, 1, 36)
    fields = localrun("status", task_id, "--json").json
    assert (fields["state"], fields["detached"], fields["steps"]) == ("PROVISIONED", True, [])


def test_a_detached_task_is_run_by_the_command_that_waits_for_it(localrun: Command) -> None:
    task_id = localrun.run("-d", "--metadata", "sample=A1").out.strip()
    found = localrun("wait", task_id, "--json").json
    assert (found["state"], found["outputs"], found["metadata"]) == ("FINISHED", {"sum": 7}, {"sample": "A1"})


def test_json_of_a_detached_run_is_its_record(localrun: Command) -> None:
    found = localrun.run("-d", "--json").json
    assert (found["state"], found["inputs"]) == ("PROVISIONED", {"a": 3, "b": 4})


def test_an_engine_that_the_supervisor_cannot_reach_is_reported(localrun: Command) -> None:
    assert (
        "no supervisor can be started in this folder; `localrun wait ID` runs the task"
        in localrun.run("-d").err
    )


def test_invalid_inputs_are_reported_at_once(localrun: Command) -> None:
    result = localrun.run("-d", values="x 4")
    assert (result.code, result.out, "inputs.a" in result.err) == (3, "", True)
    assert localrun("list", "--json").json == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "copy"), "-o/--output copies outputs, which do not exist yet"),
        (("--build-secret", "id=x,env=HOME"), "--detach excludes --build-secret"),
    ],
)
def test_options_that_need_the_command_to_stay_are_refused(
    localrun: Command, options: tuple[str, ...], message: str
) -> None:
    result = localrun.run("-d", *options)
    assert (result.code, message in result.err) == (2, True)
    assert localrun("list", "--json").json == []


def test_failed_tasks_run_again_until_they_finish(localrun: Command) -> None:
    localrun.run()
    first, second = failing(localrun, 2)
    again = localrun("rerun", "--failed", "--json")
    assert again.code == 0
    assert [(one["state"], one["inputs"]["a"], one["rerun_of"]) for one in again.json] == [
        ("FINISHED", 0, first),
        ("FINISHED", 1, second),
    ]
    nothing = localrun("rerun", "--failed")
    assert (nothing.code, nothing.err) == (0, "no failed tasks to run again\n")


def test_a_task_that_fails_again_is_run_again_once(localrun: Command) -> None:
    failing(localrun, 1)
    localrun.program = lambda _: 3
    assert localrun("rerun", "--failed").code == 1
    localrun.program = add
    assert [one["state"] for one in localrun("rerun", "--failed", "--json").json] == ["FINISHED"]
    assert localrun("rerun", "--failed", "--json").json == []


def test_multiple_tasks_run_again_with_the_same_changes(localrun: Command) -> None:
    first, second = failing(localrun, 2)
    again = localrun("rerun", first, second, first, "-i", "b=10", "--json").json
    assert [one["outputs"] for one in again] == [{"sum": 10}, {"sum": 11}]
    shown = localrun("rerun", first, second)
    assert [line.split()[1] for line in shown.out.splitlines()] == ["FINISHED", "FINISHED"]


def test_a_task_that_cannot_run_again_does_not_keep_others_from_it(localrun: Command) -> None:
    first, second = failing(localrun, 2)
    (localrun.folder / "home/tasks" / first / "descriptor.yml").unlink()
    result = localrun("rerun", "--failed")
    assert (result.code, "cannot read the descriptor" in result.err) == (3, True)
    assert f"rerun of {first[:8]}:" in result.err
    assert "FINISHED" in result.out
    assert localrun("rerun", "nothing", second).code == 2


def test_failed_tasks_are_submitted_again_without_waiting(localrun: Command) -> None:
    failing(localrun, 2)
    ids = localrun("rerun", "--failed", "-d").out.split()
    assert [localrun("wait", task_id, "-q").out for task_id in ids] == ["sum: 4\n", "sum: 5\n"]


def test_either_ids_or_failed_is_needed(localrun: Command) -> None:
    assert localrun("rerun").code == 2
    result = localrun("rerun", "last", "--failed")
    assert (result.code, "expected either task IDs or --failed" in result.err) == (2, True)
    first, second = failing(localrun, 2)
    assert localrun("rerun", first, second, "-o", localrun.folder / "copy").code == 2
