from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from localrun.cli.entry import commands
from localrun.cli.group import COMMANDS
from localrun.engines.fake import FakeContainer
from tests.cli.command import Command, add
from tests.conftest import ROOT
from tests.support.session import inherited_environment
from tests.support.work import modules_of_command

HEAVY = ("docker", "rich", "psutil", "fastapi", "localrun.app", "localrun.engines.dockerd")
MARK, END = "'=en''d='", "=end="  # as typed, and as printed


def offered(localrun: Command, line: str) -> list[str]:
    """Return the completions at the end of the line."""
    found = localrun("completion", "bash", "--line", f"localrun {line}")
    assert (found.code, found.err) == (0, "")
    return [row.split("\t")[1] for row in found.out.splitlines()]


# -- what is offered --------------------------------------------------------------------------------


def test_a_command_is_completed_from_its_beginning(localrun: Command) -> None:
    assert offered(localrun, "st") == ["status"]
    assert offered(localrun, "") == list(COMMANDS)


def test_options_are_completed_and_what_they_take(localrun: Command) -> None:
    assert "--build-arg" in offered(localrun, "run --b")
    assert offered(localrun, "run --pull m") == ["missing"]
    assert "--home" in offered(localrun, "--h")


def test_ids_are_those_of_the_folder_and_the_newest_is_also_last(localrun: Command) -> None:
    # Given two tasks
    ids = [localrun.run("--json").json["id"] for _ in range(2)]

    # Then the prefixes of the IDs are offered, newest first
    home = f"--home {localrun.folder / 'home'}"
    assert offered(localrun, f"{home} status ") == ["last", ids[1][:8], ids[0][:8]]
    assert offered(localrun, f"{home} rm {ids[0][:6]}") == [ids[0][:8]]
    assert offered(localrun, f"{home} diff last {ids[0][:6]}") == [ids[0][:8]]
    assert offered(localrun, f"{home} kill {ids[0][:12]}") == [ids[0]]


def test_the_files_of_the_task_are_offered_but_those_that_are_given(localrun: Command) -> None:
    def leave(container: FakeContainer) -> int:
        container.path("/outputs/logs").mkdir()
        container.path("/outputs/logs/steps.csv").write_text("1")
        container.path("/outputs/link").symlink_to("/etc/hostname")
        return add(container)

    localrun.program = leave
    localrun.run()
    home = f"--home {localrun.folder / 'home'}"
    assert offered(localrun, f"{home} tail last ") == ["logs/steps.csv", "sum"]
    assert offered(localrun, f"{home} tail last sum lo") == ["logs/steps.csv"]
    assert offered(localrun, f"{home} tail last sum su") == []
    assert offered(localrun, f"{home} tail nope ") == []


def test_beside_an_id_stands_how_the_task_is(localrun: Command) -> None:
    localrun.run()
    home = f"--home {localrun.folder / 'home'}"
    told = localrun("completion", "zsh", "--line", f"localrun {home} logs la").out
    assert re.fullmatch(r"plain\tlast\tFINISHED, Add integers, \d+ ms ago\n", told)


def test_the_inputs_of_the_bundle_are_offered_but_those_that_are_given(localrun: Command) -> None:
    assert offered(localrun, f"run {localrun.bundle} -i ") == ["a=", "b="]
    assert offered(localrun, f"run {localrun.bundle} -i a=3 -i ") == ["b="]
    assert offered(localrun, f"run -i a=3 {localrun.bundle} --input b") == ["b="]


def test_an_array_may_be_given_again(localrun: Command) -> None:
    sample = ROOT / "samples/types/array"
    assert offered(localrun, f"run {sample} -i value=1 -i ") == ["value="]


def test_the_inputs_of_a_task_that_runs_again_are_those_of_its_descriptor(localrun: Command) -> None:
    localrun.run()
    home = f"--home {localrun.folder / 'home'}"
    assert offered(localrun, f"{home} rerun last -i ") == ["a=", "b="]


@pytest.mark.parametrize(
    ("sample", "typed", "values"),
    [
        ("boolean", "", ["true", "false"]),
        ("boolean", "t", ["true"]),
        ("enumeration", "m", ["medium"]),
        ("integer", "", []),
        ("image-png", "", ["@"]),
    ],
)
def test_the_values_of_an_input_are_those_of_its_type(
    localrun: Command, sample: str, typed: str, values: list[str]
) -> None:
    line = f"run {ROOT}/samples/types/{sample} -i value={typed}"
    assert offered(localrun, line) == [f"value={value}" for value in values]


def test_a_file_is_found_along_its_path(localrun: Command) -> None:
    sample = ROOT / "samples/types/image-png"
    line = f"run {sample} -i value=@{sample}/pic"
    assert offered(localrun, line) == [f"value=@{sample}/picture.png"]
    assert f"value=@{sample.parent}/image-png/" in offered(
        localrun, f"run {sample} -i value=@{sample.parent}/im"
    )


@pytest.mark.parametrize(
    "line",
    [
        "run nowhere -i ",
        f"run {ROOT}/samples/types/image-png -i value=@~nobody-of-that-name/",
        "run . -i x=",
        "serve x ",
        "explain zzz",
    ],
)
def test_a_line_that_makes_no_sense_is_offered_nothing_and_told_nothing(localrun: Command, line: str) -> None:
    assert offered(localrun, line) == []


def test_the_commands_of_a_group_are_offered_without_importing_them(localrun: Command) -> None:
    assert offered(localrun, "tasks li") == ["list", "list-files"]
    assert "--help" in offered(localrun, "tasks --")


def test_whatever_is_an_id_is_completed(localrun: Command) -> None:
    # Given a task, and every parameter of every command that takes an ID
    localrun.run()
    home = f"--home {localrun.folder / 'home'}"
    root = click.Context(commands, info_name="localrun")
    wanted = [
        (name, parameter)
        for name in COMMANDS
        for parameter in (commands.get_command(root, name) or commands).params
        if (parameter.metavar or "").strip("[].") == "ID"
    ]

    # Then IDs are offered
    assert len(wanted) > 10
    for name, parameter in wanted:
        option = f"{parameter.opts[0]} " if isinstance(parameter, click.Option) else ""
        assert "last" in offered(localrun, f"{home} {name} {option}la"), (name, parameter)


def test_a_word_to_be_explained_is_found_whatever_its_letters(localrun: Command) -> None:
    assert offered(localrun, "explain oomk") == ["OOMKilled"]


def test_what_a_task_is_called_cannot_break_the_line(localrun: Command) -> None:
    text = localrun.bundle.read_text()
    localrun.bundle.write_text(text.replace("description: ", 'description: "a\\tb\\e[31m" #', 1))
    told = localrun("completion", "bash", "--line", f"localrun run {localrun.bundle} -i ").out
    assert all(line.count("\t") == 2 and "\x1b" not in line for line in told.splitlines())


@pytest.mark.parametrize(
    "line", ["localrun st", "localrun status ", f"localrun run {ROOT}/samples/count-cells -i "]
)
def test_nothing_heavy_is_imported_to_complete_a_line(line: str, tmp_path: Path) -> None:
    script = f"""import sys; import localrun.cli as c
c.main(["completion", "bash", "--line", {line!r}])
print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"""
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert found.stderr.strip() == "[]"


def test_completing_costs_next_to_nothing() -> None:
    modules = modules_of_command("completion", "bash", "--line", "localrun st")
    assert len(modules) < 130, modules
    assert not {"msgspec", *HEAVY} & modules


# -- a real shell -----------------------------------------------------------------------------------


class Bash:
    """An interactive bash on its own terminal."""

    def __init__(self, folder: Path) -> None:
        self._terminal, end = pty.openpty()
        kept = inherited_environment()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            cwd=folder,
            stdin=end,
            stdout=end,
            stderr=end,
            env={**kept, "PATH": path, "PS1": "> ", "TERM": "dumb", "INPUTRC": "/dev/null", "COLUMNS": "500"},
            start_new_session=True,
        )
        os.close(end)
        self.say('stty cols 500; bind "set bell-style none"; eval "$(localrun completion bash)"')

    def close(self) -> None:
        """Kill the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def say(self, line: str) -> str:
        """Type a line and return its output."""
        self._type(f"{line}; echo {MARK}\n")
        return self._until(END)

    def completed(self, line: str) -> str:
        """Type a partial line and TAB, and return the completed words."""
        self._type(f"{line}\t\x01printf '[%s]' \x05; echo {MARK}\n")
        found: list[str] = re.findall(rf"(\[.*\]){END}", self._until(END))
        return found[-1]

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _until(self, pattern: str) -> str:
        seen = ""
        end = time.monotonic() + 110
        while not re.search(pattern, seen):
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"bash has not said {pattern!r}: {seen!r}"
            seen += os.read(self._terminal, 65536).decode(errors="replace")
        return seen.replace("\r", "")


@pytest.fixture
def bash(tmp_path: Path) -> Iterator[Bash]:
    shell = Bash(tmp_path)
    yield shell
    shell.close()


@pytest.mark.parametrize(
    ("typed", "then"),
    [
        ("localrun sta", "[localrun][status]"),
        ("localrun run myb", "[run][mybundle/]"),
        ("localrun run --inputs pic", "[--inputs][picture.png]"),
        ("localrun run --pull mi", "[localrun][run][--pull][missing]"),
        (f"localrun run {ROOT}/samples/count-cells -i thr", f"[{ROOT}/samples/count-cells][-i][threshold=]"),
        (f"localrun run {ROOT}/samples/types/boolean -i value=t", "[-i][value=true]"),
        (f"localrun run {ROOT}/samples/count-cells -i image=@pi", "[-i][image=@picture.png]"),
        (f"localrun run {ROOT}/samples/count-cells -i image=@wi", "[-i][image=@with blank.png]"),
    ],
)
def test_bash_completes_what_is_typed(bash: Bash, tmp_path: Path, typed: str, then: str) -> None:
    for name in ("picture.png", "with blank.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "mybundle").mkdir()
    assert bash.completed(typed).endswith(then)


def test_bash_goes_on_after_an_equals_sign_without_a_blank(bash: Bash) -> None:
    line = f"localrun run {ROOT}/samples/count-cells -i min"
    assert bash.completed(f"{line}\t7").endswith("[-i][min_size=7]")


def test_the_scripts_of_all_shells_ask_the_same(localrun: Command) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert f"completion {shell} --line" in localrun("completion", shell).out
