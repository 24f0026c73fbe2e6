from __future__ import annotations

import json
from pathlib import Path

import pytest

from localrun.engines.fake import FakeContainer
from tests.cli.command import Command
from tests.support.environment import DESCRIPTOR


def test_a_task_is_run_again_with_its_own_values(localrun: Command) -> None:
    first = localrun.run("--json").json
    again = localrun("rerun", "last", "--json").json
    assert (again["inputs"], again["outputs"]) == ({"a": 3, "b": 4}, {"sum": 7})
    assert again["id"] != first["id"]


def test_what_is_given_takes_the_place_of_what_was(localrun: Command) -> None:
    localrun.run("--timeout", "50s")
    localrun("rerun", "last", "-i", "b=10", "--cpus", "0.5", "--network")
    fields = localrun("status", "last", "--json").json
    assert (fields["inputs"], fields["outputs"]) == ({"a": 3, "b": 10}, {"sum": 13})
    assert (fields["resources"]["cpus"], fields["network"], fields["timeout"]) == (0.5, True, 50.0)


@pytest.mark.parametrize(("changes", "retries"), [((), 2), (("--retries", 0), 0)])
def test_retries_are_kept_unless_changed(localrun: Command, changes: tuple[str, ...], retries: int) -> None:
    localrun.run("--retries", 2)
    localrun("rerun", "last", *changes)
    folder = Path(localrun("status", "last", "--json").json["folder"])
    assert json.loads((folder / "task.json").read_bytes())["plan"]["retries"] == retries


def test_a_file_of_values_takes_the_place_of_some_too(localrun: Command) -> None:
    localrun.run()
    (localrun.folder / "values.json").write_text('{"a": 1, "b": 1}')
    result = localrun("rerun", "last", "--inputs", localrun.folder / "values.json", "-i", "b=2", "--json")
    assert result.json["inputs"] == {"a": 1, "b": 2}


def test_it_shows_what_run_shows_and_ends_as_run_ends(localrun: Command) -> None:
    ran = localrun.run()
    again = localrun("rerun", "last")
    assert [line.split()[0] for line in again.out.splitlines()] == [
        line.split()[0] for line in ran.out.splitlines()
    ]
    localrun.program = lambda _: 3
    failed = localrun("rerun", "last")
    assert (failed.code, "EXIT_NONZERO" in failed.err) == (1, True)


def test_the_outputs_can_be_copied(localrun: Command) -> None:
    localrun.run()
    localrun("rerun", "last", "-o", localrun.folder / "copy")
    assert (localrun.folder / "copy/sum").read_text() == "7"


def test_a_failed_task_is_run_again_once_it_is_corrected(localrun: Command) -> None:
    def fail(container: FakeContainer) -> int:
        container.stderr.write("no luck\n")
        return 1

    add, localrun.program = localrun.program, fail
    assert localrun.run().code == 1
    localrun.program = add
    assert localrun("rerun", "last").code == 0


def test_a_limit_that_was_raised_in_the_descriptor_holds(localrun: Command) -> None:
    localrun.run()
    localrun.bundle.write_text(DESCRIPTOR.replace("64Mi", "80Mi"))
    result = localrun("rerun", "last")
    assert "the descriptor differs from that of task " in result.err
    assert localrun("status", "last", "--json").json["resources"]["memory"] == 80 * 1024**2


def test_a_bundle_that_is_gone_is_said_and_its_image_is_used(localrun: Command) -> None:
    localrun.run()
    localrun.bundle.unlink()
    result = localrun("rerun", "last")
    assert result.code == 0
    assert f"{localrun.bundle} is gone: using the image and the descriptor of task" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nope"], 2, "no task 'nope'"),
        (["last", "-i", "b=x"], 3, "inputs.b"),
        (["last", "-i", "c=1"], 3, "unknown input 'c'"),
        (["last", "--memory", "lots"], 2, "invalid size"),
    ],
)
def test_what_is_wrong_is_told_as_run_tells_it(
    localrun: Command, arguments: list[str], code: int, words: str
) -> None:
    localrun.run()
    result = localrun("rerun", *arguments)
    assert (result.code, words in result.err, "hint: " in result.err) == (code, True, True)
    assert len(localrun("list", "--json").json) == 1


def test_a_refusal_is_one_json_record_too(localrun: Command) -> None:
    result = localrun("rerun", "nope", "--json")
    assert (result.code, result.json["state"], result.json["bundle"]) == (2, "FAILED", "rerun of nope")
