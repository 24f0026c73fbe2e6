"""`localrun tasks`: the commands as an Inductiva user types them, in its words and with its flags."""

from __future__ import annotations

from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING

import click

from localrun.cli.exit_codes import ExitCode
from localrun.console.streams import print_out

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# name -> (module, what it does)
_COMMANDS = {
    "list": ("tasks.list", "List the tasks of this folder."),
    "info": ("info", "Show the timeline of a task, what it used and what it left."),
    "kill": ("tasks.kill", "Stop tasks."),
    "download": ("tasks.download", "Copy the outputs or inputs of tasks."),
    "tail": ("tail", "Show the ends of files that a task writes."),
    "list-files": ("list_files", "List the files that a task has written."),
    "top": ("top", "Show what running tasks use just now."),
}
# what differs from the command of the same name outside: other defaults, more spellings of an option
_DEFAULTS = {"info": {"system": "inductiva"}}
_ALSO = {"tail": {"lines": "-l"}}


class Aliases(click.Group):
    """A group that knows the names of its commands, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the order of the page."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in _COMMANDS:
            return None
        return _alias(cmd_name, import_module(f"localrun.cli.{_COMMANDS[cmd_name][0]}").command)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, without importing any; else what click knows: options."""
        from localrun.cli.group import matching_commands

        known = {name: what for name, (_, what) in _COMMANDS.items()}
        return matching_commands(known, incomplete) or super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in _COMMANDS.items()])


def _alias(name: str, command: click.Command) -> click.Command:
    """The same command, with what differs here; the one outside stays as it is."""
    alias = copy(command)
    alias.name = name
    alias.params = [_changed(name, copy(parameter)) for parameter in command.params]
    return alias


def _changed(name: str, parameter: click.Parameter) -> click.Parameter:
    found = parameter.name or ""
    parameter.default = _DEFAULTS.get(name, {}).get(found, parameter.default)
    more = _ALSO.get(name, {}).get(found)
    if more:
        parameter.opts = [*parameter.opts, more]
    return parameter


@click.group(cls=Aliases, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> int:
    """The commands as an Inductiva user types them: `inductiva tasks ...` becomes `localrun tasks ...`.

    They are the commands of the same names outside, with Inductiva's flags, and statuses in its words.
    """
    if ctx.invoked_subcommand is None:
        print_out(ctx.get_help())
        return ExitCode.USAGE
    return ExitCode.FINISHED
