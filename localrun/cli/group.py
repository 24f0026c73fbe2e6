"""The table of commands, and a click group that imports each command only when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from localrun.cli.exit_codes import MEANINGS
from localrun.errors import UsageError
from localrun.suggestions import did_you_mean
from localrun.undecodable import escape, is_text

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Sections = Mapping[str, Mapping[str, tuple[str, str]]]

# section -> command -> (module or module:object, one-line help)
SECTIONS: Sections = {
    "Run": {
        "run": ("run", "Run a task and show its outputs."),
        "batch": ("batch", "Run a bundle over many rows of inputs."),
        "wait": ("wait", "Wait for tasks to finish."),
        "rerun": ("rerun", "Rerun a task, optionally with changed inputs or options."),
    },
    "Bundles": {
        "init": ("init", "Create a new bundle that is ready to run."),
        "validate": ("validate", "Check a bundle against App Engine's rules."),
        "inspect": ("inspect", "Show a bundle's inputs, outputs, image and resources."),
        "build": ("build", "Build a bundle into a zip for App Engine."),
        "upload": ("upload", "Upload a bundle to an App Engine."),
        "schema": ("schema", "Print the JSON Schema of descriptors or records."),
    },
    "Tasks": {
        "list": ("list_", "List the tasks of this folder."),
        "tasks": ("tasks", "Inductiva-compatible task commands."),
        "status": ("status", "Show a task's state and why it ended."),
        "top": ("top", "Show the resource usage of running tasks."),
        "info": ("info", "Show a task's timeline, resource usage and output sizes."),
        "describe": ("describe.command", "Show a task in detail, like `kubectl describe`."),
        "view": ("view", "Show a task in a browser."),
        "logs": ("logs", "Show a task's log."),
        "tail": ("tail", "Show the last lines of a task's files."),
        "list-files": ("list_files", "List a task's output files."),
        "inputs": ("inputs", "Show or copy a task's inputs."),
        "outputs": ("outputs", "Show or copy a task's outputs."),
        "report": ("report", "Write a task as one HTML file."),
    },
    "Debug": {
        "shell": ("shell", "Open a shell in the setup of a task."),
        "explain": ("explain", "Explain a status, cause or error code."),
        "debug": ("debug", "Show a task and its replicas like `iexec task debug`."),
        "diff": ("diff", "Compare two tasks."),
        "doctor": ("doctor", "Check that this machine can run tasks."),
    },
    "Server": {
        "serve": ("serve", "Serve the tasks of this folder over HTTP."),
        "mcp": ("mcp", "Serve tools for coding agents (MCP)."),
        "events": ("events", "Show the events in the server's journal."),
        "export": ("export", "Export the task list to a file."),
        "import": ("import_", "Import tasks from an export file."),
    },
    "Clean up": {
        "kill": ("kill", "Stop a task."),
        "rm": ("rm", "Delete ended tasks with all their files."),
        "prune": ("prune", "Remove unused tasks, containers, images and files."),
    },
    "Settings": {"trust": ("trust", "Trust the settings file of a project.")},
    "Shell": {"completion": ("completion", "Generate a shell completion script.")},
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

EXAMPLES = [
    ("localrun run add.zip -i a=3 -i b=4", "run a task with inputs from the command line"),
    ("localrun run ./cells -i image=@scan.png -o results", "pass a file and copy the outputs"),
    ("localrun run ./cells --inputs values.json --json", "print one JSON record for scripts"),
    ("localrun init adder", "create a bundle that is ready to run"),
    ("localrun validate add.zip", "check whether App Engine would accept a bundle"),
    ("localrun list", "list tasks; ID is any unique prefix, or `last`"),
    ("localrun logs last -f", "follow the log of the newest task"),
    ("localrun kill 3f9c", "stop a task, also from another terminal"),
]


class _Text(click.types.StringParamType):
    """A string in UTF-8. Only file names may have other bytes; a parameter for them has another type."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text: str = super().convert(value, param, ctx)
        if not is_text(text):
            self.fail(f"'{escape(text)}' is not UTF-8", param, ctx)
        return text


TEXT = _Text()


class LazyGroup(click.Group):
    """A group that imports a command only when it is called."""

    def __init__(self, *args: Any, sections: Sections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections
        self.entries = {name: entry for section in sections.values() for name, entry in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.entries:
            return None
        module, _, attribute = self.entries[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"localrun.cli.{module}"), attribute or "command")
        command.name = cmd_name
        for parameter in command.params:
            if parameter.type is click.STRING:
                parameter.type = TEXT
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` start with. Raises `UsageError` with a suggestion if there is none."""
        name = args[0]
        if name not in self.entries and not name.startswith("-") and not ctx.resilient_parsing:
            hint = did_you_mean(name, self.entries) or f"see `{ctx.command_path} --help`"
            raise UsageError(f"unknown command {name!r}", remedy=hint)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete command names without importing the commands, else options."""
        from click.shell_completion import CompletionItem

        entries = [(name, text) for name, (_, text) in self.entries.items() if name.startswith(incomplete)]
        found = [CompletionItem(name, help=text) for name, text in entries]
        return found or super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, commands in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, help_text) for name, (_, help_text) in commands.items()])


class RootGroup(LazyGroup):
    """The group of all commands; its help page ends with exit codes and examples."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANINGS.items()])
        with formatter.section("Examples"):
            indent = " " * formatter.current_indent
            for line, comment in EXAMPLES:
                formatter.write(f"{indent}# {comment}\n{indent}{line}\n")
