"""The commands, from click."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from localrun.cli.entry import commands
from localrun.cli.exit_codes import MEANINGS
from localrun.cli.group import EXAMPLES, SECTIONS

from chapters.page import Page, code, sentence

_ROOT = "localrun"


def page() -> Page:
    """Return the page of commands with all their options."""
    made = Page(
        "Commands",
        "All commands and their options, as `localrun COMMAND --help` shows them. [The guide](../cli.md) "
        "explains how to use them. `python -m localrun` is the same as `localrun`.",
    )
    root = click.Context(commands, info_name=_ROOT)
    for section, names in SECTIONS.items():
        made.head(section)
        made.table(
            ["command", "description"],
            [[f"[`{_ROOT} {name}`](#{_ROOT}-{name})", what] for name, (_, what) in names.items()],
        )
        for name in names:
            found = commands.get_command(root, name)
            assert found is not None
            _command(made, found, click.Context(found, info_name=name, parent=root))
    made.head("Global options")
    made.prose("Global options come before the name of the command.")
    _options(made, commands, root)
    made.head("Exit codes")
    made.table(["code", "meaning"], [[str(int(value)), text] for value, text in MEANINGS.items()])
    made.head("Examples")
    made.code("\n".join(f"# {what}\n{line}" for line, what in EXAMPLES))
    return made


def _command(made: Page, command: click.Command, context: click.Context, level: int = 3) -> None:
    made.head(context.command_path, level)
    made.code(_usage(command, context))
    made.prose(_prose(command.help or ""))
    _options(made, command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            _command(made, inner, click.Context(inner, info_name=name, parent=context), level + 1)


def _options(made: Page, command: click.Command, context: click.Context) -> None:
    made.table(["option", "description"], _rows(command, context))


def _rows(command: click.Command, context: click.Context) -> Iterator[list[str]]:
    for parameter in command.get_params(context):
        found = parameter.get_help_record(context)
        if found is not None and found[1] and "--help" not in parameter.opts:
            names, text = found
            yield [code(_choices(parameter, names)), _plain(text)]


def _usage(command: click.Command, context: click.Context) -> str:
    pieces = command.collect_usage_pieces(context)
    if isinstance(command, click.Group):  # which versions of click write in two ways
        pieces = ["[OPTIONS]", "COMMAND", "[ARGS]..."]
    return " ".join([context.command_path, *pieces])


def _choices(parameter: click.Parameter, names: str) -> str:
    """Return the names and metavar of an option; the case of choices depends on the version of click."""
    free = isinstance(parameter.type, click.Choice) and not parameter.type.case_sensitive
    option, _, choices = names.partition(" [")
    return f"{option} [{choices.lower()}" if free and choices else names


def _plain(text: str) -> str:
    """Return `Text.  [default: 20; x>=1]` as prose."""
    words, _, extras = text.rstrip("]").partition("  [")
    if not extras:
        return text
    extras = re.sub(r"(\S+)<=x<=(\S+)", r"from \1 to \2", extras)
    extras = re.sub(r"x>=(\S+)", r"at least \1", extras)
    return f"{words} {sentence(extras)}"


def _prose(text: str) -> str:
    """Return a help text as Markdown; paragraphs that click must not wrap become code blocks."""
    parts = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b\n"):
            parts.append(f"```text\n{paragraph[2:]}\n```")
        else:
            parts.append(paragraph)
    return "\n\n".join(parts)
