from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from localrun import __version__
from localrun.cli.entry import commands
from localrun.cli.exit_codes import MEANINGS
from localrun.cli.group import COMMANDS, EXAMPLES, LazyGroup
from tests.cli.command import Command
from tests.support.work import modules_of_command

ABOUT_TASKS = (
    "run",
    "wait",
    "rerun",
    "list",
    "status",
    "logs",
    "tail",
    "list-files",
    "outputs",
    "diff",
    "doctor",
    "kill",
    "rm",
    "prune",
)
HEAVY = (
    "pydantic",
    "msgspec",
    "yaml",
    "docker",
    "rich",
    "psutil",
    "localrun.app",
    "localrun.manager.manager",
)


METAVARS = (
    *(
        "ADDRESS",
        "BUNDLE",
        "COUNT",
        "CPUS",
        "DIR",
        "DURATION",
        "FILE",
        "FILE|DIR",
        "FILE.zip",
        "FILE[:SHA256]",
    ),
    *(
        "HOST",
        "PATH",
        "ID",
        "IMAGE",
        "IMAGE=@FILE",
        "KEY=VALUE",
        "NAME",
        "NAME:TYPE",
        "NAME=VALUE",
        "NAME=@PATTERN",
        "NAME=VALUE,VALUE",
        "NAMESPACE",
        "NUMBER=VALUE",
    ),
    *(
        "SRC:DST[:rw]",
        "ID|BUNDLE",
        "PACKAGES",
        "PLATFORM",
        "STAGE",
        "id=ID,src=FILE",
        "NAME=docker-image://REFERENCE",
    ),
    *("PORT", "SECONDS", "SHELL", "SIZE", "TEXT", "TYPE", "URL", "VALUE", "WORD", "COMMAND", "ARGS"),
)


def contexts(group: click.Group, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield a context for every command, those of groups included."""
    context = click.Context(group, parent, info_name="localrun" if parent is None else group.name)
    yield context
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from contexts(command, context)
        else:
            yield click.Context(command, context, info_name=name)


CONTEXTS = list(contexts(commands))
OPTIONS = {
    f"{context.command_path} {option.opts[-1]}": option
    for context in CONTEXTS
    for option in context.command.params
    if isinstance(option, click.Option) and not option.hidden
}


def test_the_help_of_a_command_is_an_imperative_sentence() -> None:
    groups = [context.command for context in CONTEXTS]
    lines = [text for one in groups if isinstance(one, LazyGroup) for _, text in one.entries.values()]
    assert [line for line in lines if len(line) > 60] == []
    for sentence in (*lines, *(" ".join((one.help or "").split("\n\n")[0].split()) for one in groups)):
        verb = sentence.split()[0]
        assert re.fullmatch(r"[A-Z][a-z]+", verb) or sentence == "Inductiva-compatible task commands."
        assert not verb.endswith(("ing", "ed")), sentence
        assert sentence.endswith((".", ":")), sentence


def test_the_help_of_an_option_is_a_sentence() -> None:
    for name, option in OPTIONS.items():
        text, _, extra = (option.help or "").partition("  [")
        assert re.match(r"[A-Z]|iExec: [a-z]", text), name
        assert text.endswith("."), name
        assert not extra or re.fullmatch(r"(default|env): [^;]+(; env: [A-Z_]+)?\]", extra), name
        assert "default" not in text.lower().replace("(the default)", ""), name


def test_metavars_are_whole_words() -> None:
    for context, parameter in [(one, parameter) for one in CONTEXTS for parameter in one.command.params]:
        if isinstance(parameter, click.Option) and (parameter.is_flag and parameter.flag_value != "2"):
            continue
        text = re.sub(r"^\[(.*)\](?:\.\.\.)?$", r"\1", parameter.make_metavar(context)).removesuffix("...")
        words = text.replace(" RANGE", "").split("|")
        if not isinstance(parameter.type, click.Choice) or len(words) == 1:
            assert words[0] in METAVARS, (context.command_path, parameter.name, text)


def test_help_names_every_command_every_exit_code_and_examples(localrun: Command) -> None:
    page = localrun("--help").out
    for name, (_, what) in COMMANDS.items():
        assert f"  {name} " in page
        assert what in page
    for code, meaning in MEANINGS.items():
        assert f"  {int(code)} " in page
        assert meaning.split(":", maxsplit=1)[0] in page
    for line, _ in EXAMPLES:
        assert f"  {line}\n" in page


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_a_page_that_says_what_the_list_says(localrun: Command, name: str) -> None:
    result = localrun(name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: localrun {name} ")


@pytest.mark.parametrize("name", ABOUT_TASKS)
def test_every_command_about_tasks_can_answer_in_json(localrun: Command, name: str) -> None:
    assert "--json" in localrun(name, "--help").out


def test_a_call_without_a_command_shows_the_page(localrun: Command) -> None:
    result = localrun()
    assert result.code == 2
    assert "Exit codes" in result.out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("staus", "did you mean 'status'?"),
        ("tasks lsit", "did you mean 'list'?"),
        ("zzz", "see `localrun --help`"),
        ("tasks zzz", "see `localrun tasks --help`"),
    ],
)
def test_a_mistyped_command_gets_a_suggestion(localrun: Command, words: str, hint: str) -> None:
    result = localrun(*words.split())
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: unknown command {words.rsplit(maxsplit=1)[-1]!r}\n  hint: {hint}\n"


def test_a_mistyped_option_gets_a_suggestion(localrun: Command) -> None:
    result = localrun("status", "--jsno")
    assert result.code == 2
    assert result.err == "error: unknown option '--jsno'\n  hint: did you mean '--json'?\n"
    before = localrun("tasks", "list", "--home", "x").err
    assert before.endswith("hint: write it before the command: `localrun --home DIR tasks list ...`\n")
    assert (
        localrun("list", "--zzz").err == "error: unknown option '--zzz'\n  hint: see `localrun list --help`\n"
    )


def test_other_wrong_calls_point_to_the_help(localrun: Command) -> None:
    result = localrun("run")
    assert result.code == 2
    assert result.err == "error: missing argument 'BUNDLE'\n  hint: see `localrun run --help`\n"


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_nothing_heavy_is_imported_just_to_say_so(option: str) -> None:
    script = f"import sys; sys.argv = ['localrun', {option!r}]; import localrun.cli as c; c.main()"
    check = f"; print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    result = subprocess.run(
        [sys.executable, "-c", script + check], capture_output=True, text=True, check=True
    )
    assert result.stderr.strip() == "[]"


def test_the_version_costs_next_to_nothing() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "localrun", "--version"], capture_output=True, text=True, check=True
    )
    assert found.stdout == f"localrun {__version__}\n"
    modules = modules_of_command("--version")
    assert len(modules) < 130, modules
    assert not {"msgspec", "docker", "rich"} & modules
