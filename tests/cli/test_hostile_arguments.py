"""Every argument and option of every command with bytes that are not UTF-8: no traceback, valid JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from localrun.cli.entry import commands
from localrun.cli.exit_codes import ExitCode
from localrun.engines.fake import FakeContainer
from localrun.settings import Settings
from localrun.task.store import TaskStore
from tests.cli.command import Command
from tests.support.environment import DESCRIPTOR, IMAGE

LATIN_1 = "t\udce9"  # how Python shows the bytes `t\xe9` of the system
VALUES = ("--image", IMAGE, "--pull", "never", "-i", "a=1", "-i", "b=2")
NOT_RUN = {"serve"}  # blocks; its options are tested with the server


def walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield all commands with their paths."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, (path, name)
            yield from walk(found, (*path, name))
    else:
        yield path, command


def cases() -> Iterator[Any]:
    for path, command in walk(commands):
        if path[0] in NOT_RUN:
            continue
        for parameter in command.params:
            if not getattr(parameter, "is_flag", False):
                yield pytest.param(path, command, parameter, id=f"{' '.join(path)} {parameter.name}")


def required(command: click.Command, omit: click.Parameter, localrun: Command, task: str) -> list[str]:
    given: list[str] = []
    for one in command.params:
        if not isinstance(one, click.Argument) or one is omit or not (one.required or one.nargs == -1):
            continue
        given.append(str(localrun.bundle) if "bundle" in (one.name or "") else task)
    return [*given, *VALUES] if command.name == "run" else given


def hostile(parameter: click.Parameter, value: str) -> list[list[str]]:
    if isinstance(parameter, click.Argument):
        return [[value]]
    option = max(parameter.opts, key=len)
    given = [value, f"a=@{value}"]
    if getattr(parameter, "multiple", False):  # as are all that take a name and a value
        given += [f"{value}={value}", f"a={value}"]
    return [[option, one] for one in given]


def check(localrun: Command, *arguments: str) -> None:
    result = localrun(*arguments)
    assert result.code in set(ExitCode), result
    assert "Traceback" not in result.err
    assert "bug in localrun" not in result.err, result.err
    result.out.encode("ascii" if "--json" in arguments else "utf-8")
    if "--json" in arguments:
        lines = result.out.splitlines()
        assert lines or arguments[0] == "events", result
        for line in lines:
            json.dumps(json.loads(line), ensure_ascii=False).encode()  # no lone surrogates
        assert len(lines) == 1 or arguments[0] == "events", lines


@pytest.mark.parametrize(("path", "command", "parameter"), list(cases()))
def test_bytes_that_are_not_utf8_end_no_command_with_a_traceback(
    path: tuple[str, ...],
    command: click.Command,
    parameter: click.Parameter,
    localrun: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(localrun.folder)
    task = localrun.run("--json").json["id"]
    Path(LATIN_1).mkdir()
    has_json = any("--json" in one.opts for one in command.params)
    for given in hostile(parameter, LATIN_1):
        arguments = [*path, *required(command, parameter, localrun, task), *given]
        check(localrun, *arguments)
        if has_json:
            check(localrun, *arguments, "--json")


TEXT_AND_FILE = DESCRIPTOR.replace("a: {type: integer", "a: {type: file").replace(
    "b: {type: integer", "b: {type: string"
)


@pytest.mark.parametrize("writable", [(), ("--writable-inputs",), ("--copy-inputs",)])
def test_a_task_runs_in_a_folder_with_a_bundle_and_an_input_that_are_not_utf8(
    writable: tuple[str, ...], localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program(container: FakeContainer) -> int:
        container.path("/outputs/sum").write_text(str(container.path("/inputs/a").stat().st_size))
        return 0

    localrun.program = program
    folder = localrun.folder / LATIN_1
    folder.mkdir()
    monkeypatch.chdir(folder)
    localrun.folder = folder
    Path(f"{LATIN_1}.yml").write_text(TEXT_AND_FILE)
    Path(f"{LATIN_1}.bin").write_bytes(b"12345")
    given = ("-i", f"a=@{LATIN_1}.bin", "-i", "b=x", "--image", IMAGE, "--pull", "never", *writable)
    ran = localrun("run", f"{LATIN_1}.yml", *given, "-o", f"out-{LATIN_1}", "--json")
    assert ran.code == 0, ran
    assert ran.json["outputs"]["sum"] == 5
    assert ran.json["inputs"]["a"].endswith("t\\xe9.bin")
    assert Path(f"out-{LATIN_1}", "sum").exists()
    again = localrun("rerun", "last", "--json")
    assert again.code == 0, again
    for command in ("status", "info", "describe", "logs", "list-files", "outputs", "debug"):
        check(localrun, command, "last")
        check(localrun, command, "last", "--json")
    for arguments in (["list"], ["tasks", "list"], ["diff", "last", "last"], ["prune", "--yes"], ["top"]):
        check(localrun, *arguments)
        check(localrun, *arguments, "--json")
    assert "\\xe9" in localrun("describe", "last").out


def test_an_input_value_that_is_not_utf8_is_an_invalid_input(localrun: Command) -> None:
    localrun.bundle.write_text(TEXT_AND_FILE)
    file = localrun.folder / "file"
    file.write_bytes(b"x")
    given = ("-i", f"a=@{file}", "-i", f"b={LATIN_1}", "--image", IMAGE, "--pull", "never", "--json")
    ran = localrun("run", localrun.bundle, *given)
    assert ran.code == ExitCode.BUNDLE_OR_VALUES, ran
    assert ran.json["cause"] == "INPUTS_INVALID"
    (problem,) = ran.json["problems"]
    assert problem["path"] == "inputs.b"
    assert problem["message"].isascii()


@pytest.mark.parametrize("name", [f"LOCALRUN_{name.upper()}" for name in Settings.__struct_fields__])
def test_a_setting_that_is_not_utf8_is_used_or_refused(
    name: str, localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(localrun.folder)
    monkeypatch.setenv(name, LATIN_1)
    for arguments in (["list"], ["run", str(localrun.bundle), *VALUES], ["doctor"]):
        check(localrun, *arguments)
        check(localrun, *arguments, "--json")


@pytest.mark.parametrize("arguments", [["list", "--nonsense"], ["nonsense"], ["status"], ["run", "-i"]])
def test_json_is_printed_for_a_mistake_on_the_command_line(arguments: list[str], localrun: Command) -> None:
    result = localrun(*arguments, "--json")
    assert result.code == ExitCode.USAGE
    assert result.json["state"] == "FAILED"


def test_json_is_printed_when_a_command_is_interrupted(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TaskStore, "newest_first", interrupt)
    result = localrun("list", "--json")
    assert result.code == ExitCode.INTERRUPTED
    assert result.json["state"] == "KILLED"


def test_a_bug_has_its_own_exit_code_and_no_traceback_on_the_terminal(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise AssertionError("planted")

    monkeypatch.setattr(TaskStore, "newest_first", fail)
    monkeypatch.setattr("tempfile.tempdir", str(localrun.folder))
    result = localrun("list", "--json")
    assert result.code == ExitCode.ENGINE_OR_HOST
    assert result.json["cause"] == "INTERNAL"
    assert "localrun itself failed: AssertionError: planted" in result.err
    assert "Traceback" not in result.err
    (saved,) = localrun.folder.glob("localrun-traceback-*.txt")
    assert "planted" in saved.read_text()
    assert str(saved) in result.err
