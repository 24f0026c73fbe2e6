"""The list of commands: each is imported only when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

import click

from localrun.cli.exit_codes import MEANINGS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# section -> command -> (module, what it does)
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Run": {
        "run": ("run", "Run a task and show its outputs."),
        "wait": ("wait", "Wait for the end of tasks, and show it."),
        "rerun": ("rerun", "Run a task again, with what is to be different."),
    },
    "Write": {
        "init": ("init", "Write a new bundle that runs as it is."),
        "validate": ("validate", "Check a bundle, and say what App Engine would."),
        "inspect": ("inspect", "Show what a bundle takes, gives and needs."),
        "build": ("build", "Build a bundle into a zip for App Engine."),
        "schema": ("schema", "Print the JSON Schema of descriptors."),
    },
    "Look": {
        "list": ("list_", "List the tasks of this folder."),
        "tasks": ("tasks.group", "List, show and kill tasks as Inductiva's users do."),
        "status": ("status", "Show where a task is, and why it ended."),
        "top": ("top", "Show what running tasks use just now."),
        "info": ("info", "Show where a task's time went, what it used and what it left."),
        "describe": ("describe.command", "Show all of a task, with its events, as kubectl does of a pod."),
        "logs": ("logs", "Show what a task wrote."),
        "tail": ("tail", "Show the ends of files that a task writes."),
        "list-files": ("list_files", "List the files that a task has written."),
        "outputs": ("outputs", "Show or copy a task's outputs."),
    },
    "Debug": {
        "explain": ("explain", "Say what a status or cause means, here and elsewhere."),
        "debug": ("debug", "Show a task and its replicas as iExec does."),
        "diff": ("diff", "Show in what two tasks differ."),
        "doctor": ("doctor", "Look whether tasks would run here."),
    },
    "Serve": {
        "serve": ("serve", "Serve the tasks of this folder over HTTP."),
        "events": ("events", "Show what happened, from the server's logs."),
        "export": ("export", "Write the list of tasks to a file."),
        "import": ("import_", "Make exported tasks known here."),
    },
    "End": {
        "kill": ("kill", "Stop a task."),
        "rm": ("rm", "Delete ended tasks with all their files."),
        "prune": ("prune", "Delete what is not needed any more."),
    },
    "Set up": {"completion": ("completion", "Print what a shell needs to complete a line.")},
}
COMMANDS = {name: found for section in SECTIONS.values() for name, found in section.items()}

EXAMPLES = [
    ("localrun run add.zip -i a=3 -i b=4", "one task, its inputs in the command"),
    ("localrun run ./cells -i image=@scan.png -o results", "a file as input, the outputs copied"),
    ("localrun run ./cells --inputs values.json --json", "one JSON record for a script"),
    ("localrun init adder", "a new bundle that runs as it is"),
    ("localrun validate add.zip", "what App Engine would say of it, and why"),
    ("localrun list", "an ID is what it shows, any unique beginning, or `last`"),
    ("localrun logs last -f", "what the newest task writes, as it writes it"),
    ("localrun kill 3f9c", "stop a task, also from another terminal"),
]


def matching_commands(known: Mapping[str, str], incomplete: str) -> list[CompletionItem]:
    """The commands that begin so, of those with what they do."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(name, help=what) for name, what in known.items() if name.startswith(incomplete)]


class LazyGroup(click.Group):
    """A group that knows the names of its commands, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the order of the page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"localrun.cli.{COMMANDS[cmd_name][0]}").command
        command.name = cmd_name
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, without importing any; else what click knows: options."""
        known = {name: what for name, (_, what) in COMMANDS.items()}
        return matching_commands(known, incomplete) or super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands, by what they are for."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, what) for name, (_, what) in commands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The exit codes, and examples."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANINGS.items()])
        with formatter.section("Examples"):
            for line, what in EXAMPLES:
                formatter.write(
                    f"{'':{formatter.current_indent}}# {what}\n{'':{formatter.current_indent}}{line}\n"
                )
