from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from localrun.engines.base import Exit
from localrun.engines.fake import FakeContainer
from localrun.errors import TaskKilled
from localrun.manager.manager import TaskManager
from localrun.manager.request import Request
from tests.cli.command import Command
from tests.support.environment import DESCRIPTOR, IMAGE

KEYS = (
    "id bundle image state cause message remedy exit_code inputs outputs"
    " problems warnings steps timings usage folder"
)


def test_a_finished_task_shows_its_outputs_its_times_and_its_folder(localrun: Command) -> None:
    result = localrun.run()
    lines = result.out.splitlines()
    assert result.code == 0
    assert lines[0] == "output sum: 7"
    assert [line.split()[0] for line in lines] == ["output", "time", "usage", "folder", "FINISHED"]
    assert Path(lines[3].removeprefix("folder ")).is_dir()


def test_what_goes_on_is_told_on_standard_error_in_the_order_of_the_steps(localrun: Command) -> None:
    told = [line.partition("] ")[2] for line in localrun.run().err.splitlines()]
    words = [line.partition(" (")[0] for line in told if line.startswith(("step", "out"))]
    assert words == [
        "step permissions started",
        "step permissions finished",
        "step task started",
        "out | 3 + 4",
        "step task finished",
        "step outputs started",
        "step outputs finished",
    ]


def test_json_is_one_record_on_standard_output_and_all_else_goes_to_standard_error(localrun: Command) -> None:
    result = localrun.run("--json")
    assert " ".join(result.json) == f"{KEYS} platform"
    assert result.json["outputs"] == {"sum": 7}
    assert result.json["inputs"] == {"a": 3, "b": 4}
    assert [step["name"] for step in result.json["steps"]] == ["permissions", "task", "outputs"]
    assert "state RUNNING" in result.err


def test_quiet_shows_the_outputs_and_nothing_else(localrun: Command) -> None:
    result = localrun.run("--quiet")
    assert (result.code, result.out, result.err) == (0, "sum: 7\n", "")


def test_a_failed_task_says_why_with_the_end_of_its_log_and_where_to_look(localrun: Command) -> None:
    def fail(container: FakeContainer) -> int:
        container.stderr.write("cannot \x1b[2J add\n")
        return 3

    localrun.program = fail
    result = localrun.run("-q")
    assert result.code == 1
    assert "FAILED (EXIT_NONZERO): the task failed with exit code 3" in result.err
    assert "    cannot \\x1b[2J add" in result.err
    assert "hint: " in result.err
    assert "see also: localrun logs " in result.err
    assert "logs ID" not in result.err
    assert "Traceback" not in result.err


def test_all_wrong_values_are_told_at_once_and_no_task_is_left(localrun: Command) -> None:
    result = localrun.run(
        "-i",
        "c=1",
        values="x y",
    )
    assert result.code == 3
    for name in "abc":
        assert f"  - inputs.{name}: " in result.err
    assert localrun("list", "--json").json == []


def test_a_failure_before_there_is_a_task_is_one_json_record_too(localrun: Command) -> None:
    result = localrun.run("--json", values="x 4")
    assert (result.code, " ".join(result.json)) == (3, KEYS)
    assert (result.json["id"], result.json["cause"]) == (None, "INPUTS_INVALID")
    assert result.json["bundle"] == str(localrun.bundle)
    assert result.json["problems"][0]["path"] == "inputs.a"


def test_a_wrong_call_is_one_json_record_too(localrun: Command) -> None:
    result = localrun.run("--json", "--memory", "lots")
    assert result.code == 2
    assert "invalid size 'lots'" in result.json["message"]
    assert "localrun run --help" in result.json["remedy"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--cpus", "999"], 4, "cpu"),
        (["--gpus", "1"], 4, "--gpus 0"),
        (["--image", "nowhere:1"], 3, "nowhere:1"),
        (["--timeout", "soon"], 2, "invalid duration"),
        (["--cpus", "none"], 2, "is not a number of CPUs"),
        (["--memory", "1M"], 2, "6 MiB"),
        (["--build-arg", "X"], 2, "is not KEY=VALUE"),
        (["--pull", "often"], 2, "often"),
        (["--nonsense"], 2, "--nonsense"),
    ],
)
def test_each_refusal_has_its_exit_code_and_says_what_is_wrong(
    localrun: Command, arguments: list[str], code: int, words: str
) -> None:
    result = localrun.run(*arguments)
    assert result.code == code
    assert words in result.err
    assert "hint: " in result.err
    assert len(set(result.err.splitlines())) == len(result.err.splitlines())


def test_a_reason_that_is_the_only_one_is_told_once(localrun: Command) -> None:
    assert localrun.run("--gpus", "1").err.count("requested 1 GPU") == 1


def test_a_bundle_that_is_not_there_is_the_bundles_fault(localrun: Command) -> None:
    result = localrun("run", "nowhere.zip")
    assert (result.code, "nowhere.zip" in result.err) == (3, True)


def test_a_timeout_has_the_exit_code_of_timeout(localrun: Command) -> None:
    def hang(container: FakeContainer) -> int:
        container.stopped.wait(60)
        return 143

    localrun.program = hang
    result = localrun.run("--timeout", "50ms", "--json")
    assert (result.code, result.json["cause"]) == (124, "TIMEOUT")


def test_outputs_that_do_not_fit_fail_the_task_and_are_listed(localrun: Command) -> None:
    def program(container: FakeContainer) -> int:
        container.path("/outputs/sum").write_text("seven")
        return 0

    localrun.program = program
    result = localrun.run("-o", localrun.folder / "out")
    assert result.code == 1
    assert "  - outputs.sum: " in result.err
    assert (localrun.folder / "out/sum").read_text() == "seven"


def test_out_of_memory_is_the_tasks_failure(localrun: Command) -> None:
    localrun.program = lambda _: Exit(137, oom_killed=True)
    result = localrun.run("--json")
    assert (result.code, result.json["cause"], result.json["exit_code"]) == (1, "OUT_OF_MEMORY", 137)


def test_values_come_from_a_file_and_the_command_has_the_last_word(localrun: Command) -> None:
    (localrun.folder / "values.yml").write_text("a: 1\nb: 2\n")
    given = ("--inputs", localrun.folder / "values.yml", "--image", "localrun-test/add:1", "--pull", "never")
    assert localrun("run", localrun.bundle, *given, "-i", "b=40", "-q").out == "sum: 41\n"


def test_outputs_are_copied_to_where_they_are_wanted(localrun: Command) -> None:
    result = localrun.run("-o", localrun.folder / "results", "-q")
    assert result.code == 0
    assert (localrun.folder / "results/sum").read_text() == "7"


def test_a_place_for_outputs_that_cannot_be_written_is_told_before_anything_runs(localrun: Command) -> None:
    started = threading.Event()
    localrun.program = lambda _: started.set()
    (localrun.folder / "file").write_text("")
    result = localrun.run("-o", localrun.folder / "file" / "out")
    assert (result.code, started.is_set()) == (2, False)
    assert "cannot write the outputs" in result.err


def test_a_run_that_is_refused_leaves_no_empty_folder_for_outputs(localrun: Command) -> None:
    assert localrun.run("-o", localrun.folder / "out", values="x y").code == 3
    assert not (localrun.folder / "out").exists()


def test_options_reach_the_task(localrun: Command) -> None:
    seen: list[tuple[float, int, bool, bool, bool]] = []

    def program(container: FakeContainer) -> int:
        spec = container.spec
        inputs = next(mount for mount in spec.mounts if mount.target == "/inputs")
        seen.append((spec.cpus, spec.memory, spec.network, spec.hardened, inputs.read_only))
        return add_up(container)

    localrun.program = program
    more = ("--cpus", "0.5", "--memory", "32Mi", "--network", "--hardened", "--writable-inputs")
    assert localrun.run(*more).code == 0
    assert localrun.run().code == 0
    assert seen == [(0.5, 32 * 1024**2, True, True, False), (1.0, 64 * 1024**2, False, False, True)]


def test_every_option_is_asked_for(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []

    def submit(_: TaskManager, request: Request, *__: object, **___: object) -> None:
        asked.append(request)
        raise TaskKilled("seen")

    monkeypatch.setattr(TaskManager, "submit", submit)
    resources = ("--gpus", 2, "--memory", "32Mi", "--cpus", 0.5, "--timeout", "90s")
    ways = ("--no-network", "--hardened", "--writable-inputs", "--copy-inputs", "--pull", "always")
    more = ("--build-arg", "A=1", "--build-arg", "B=x=y", "-i", "c=5", "--retries", 2)
    localrun.run(*resources, *ways, *more)
    (request,) = asked
    assert (request.gpus, request.memory, request.cpus, request.timeout) == (2, 32 * 1024**2, 0.5, 90.0)
    assert (request.network, request.hardened, request.writable_inputs) == (False, True, True)
    assert request.copy_inputs
    assert (request.pull, dict(request.build_args)) == ("always", {"A": "1", "B": "x=y"})
    assert (request.retries, request.replicas, request.agree) == (2, 1, None)
    assert (request.image, list(request.assignments)) == (IMAGE, ["a=3", "b=4", "c=5"])


def add_up(container: FakeContainer) -> int:
    container.path("/outputs/sum").write_text("7")
    return 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_container_and_the_task_ends_killed(
    localrun: Command, number: signal.Signals
) -> None:
    def program(container: FakeContainer) -> int:
        os.kill(os.getpid(), number)
        assert container.stopped.wait(60)
        return 143

    localrun.program = program
    result = localrun.run("--json")
    assert (result.code, result.json["state"], result.json["cause"]) == (130, "KILLED", "KILLED")
    assert "stopping (press Ctrl+C again to kill)" in result.err


def test_a_second_signal_does_not_wait_for_the_grace(localrun: Command) -> None:
    def program(container: FakeContainer) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        assert container.stopped.wait(60)
        os.kill(os.getpid(), signal.SIGINT)
        assert container.killed.wait(60)  # it ignores the first
        return 137

    localrun.program = program
    result = localrun.run()
    assert result.code == 130
    assert "killing" in result.err


def test_a_signal_while_the_bundle_is_read_leaves_nothing(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("localrun.bundle.reader.read_bundle", read)
    result = localrun.run("--json", "-o", localrun.folder / "out")
    assert (result.code, result.json["id"], result.json["state"]) == (130, None, "KILLED")
    assert not (localrun.folder / "out").exists()
    assert localrun("list", "--json").json == []


def test_a_flood_of_output_does_not_hold_the_task_up(localrun: Command) -> None:
    def flood(container: FakeContainer) -> int:
        for _ in range(200):
            container.stdout.write("x" * 99_999 + "\n")
        container.path("/outputs/sum").write_text("7")
        return 0

    localrun.program = flood
    result = localrun.run()
    assert result.code == 0
    assert result.out.startswith("output sum: 7\n")


WITH_FILE = DESCRIPTOR.replace("outputs:\n", "  f: {type: file, description: f, display_name: F}\noutputs:\n")


def test_a_mounted_input_is_a_link_after_the_end_and_its_change_is_refused_by_rerun(
    localrun: Command,
) -> None:
    localrun.bundle.write_text(WITH_FILE)
    own = localrun.folder / "own"
    own.write_text("mine")
    done = localrun.run("-i", f"f=@{own}", "--json").json
    assert Path(done["folder"], "inputs/f").readlink() == own
    assert localrun("rerun", "last").code == 0
    own.write_text("changed")
    refused = localrun("rerun", "last", "--json")
    assert (refused.code, refused.json["cause"]) == (3, "INPUTS_INVALID")
    assert refused.json["problems"][0]["path"] == "inputs.f"
    assert "it had 4 bytes, now 7" in refused.err
    assert f"-i f=@{own}" in refused.err
    assert localrun("rerun", "last", "-i", f"f=@{own}").code == 0


def test_copied_inputs_are_complete_and_outlive_the_original(localrun: Command) -> None:
    localrun.bundle.write_text(WITH_FILE)
    own = localrun.folder / "own"
    own.write_text("mine")
    done = localrun.run("-i", f"f=@{own}", "--copy-inputs", "--json").json
    copy = Path(done["folder"], "inputs/f")
    assert (copy.read_text(), copy.is_symlink(), copy.stat().st_nlink) == ("mine", False, 1)
    own.unlink()
    assert localrun("rerun", "last").code == 0


def test_a_mounted_file_that_changes_while_the_task_runs_is_a_warning(localrun: Command) -> None:
    localrun.bundle.write_text(WITH_FILE)
    own = localrun.folder / "own"
    own.write_text("mine")

    def program(container: FakeContainer) -> int:
        own.write_text("changed")
        return add_up(container)

    localrun.program = program
    done = localrun.run("-i", f"f=@{own}", "--json").json
    assert done["warnings"] == [f"input f: {own} changed while the task was active: it had 4 bytes, now 7"]


def test_the_command_line_names_the_option(localrun: Command) -> None:
    for more in ((), ("-d",)):
        result = localrun.run("-i", "timout=5", *more)
        assert (
            result.code,
            "unknown input 'timout'; did you mean the option '--timeout'?" in result.err,
        ) == (3, True)
