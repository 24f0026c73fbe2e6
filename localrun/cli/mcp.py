"""`localrun mcp`: tools for coding agents, with the Model Context Protocol over standard input and output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun._version import __version__
from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.errors import LocalrunError, UsageError
from localrun.undecodable import escape

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.tools import Tool

    from localrun.app import App
    from localrun.server.bundle_store import BundleStore
    from localrun.task.record import TaskRecord

_INSTRUCTIONS = (
    "Run containerised tasks on this machine. A bundle is a folder or zip with a descriptor.yml. "
    "Validate it, run it with inputs, and read status and logs to find out why a task failed."
)
_LOG_LINES = 100

Fields = dict[str, Any]


@click.command()
@options.with_default(
    "--bundles", type=options.DIR, metavar="DIR", default=".", help="Folder whose bundles can be run."
)
@pass_context
def command(context: CliContext, bundles: Path) -> None:
    """Serve tools for coding agents over standard input and output (MCP).

    The tools are validate, run, status, logs, diff and explain. Only bundles and files below the folder can
    be used, and tasks have no network. Needs the package `mcp`: pip install "localrun-tasks[mcp]".
    """
    if not bundles.is_dir():
        raise UsageError(f"--bundles: {escape(str(bundles))} is not a folder", remedy="pass a folder")
    try:
        sys.stdin.fileno()
    except (OSError, ValueError, AttributeError):  # closed, or replaced by another object
        remedy = "let an agent start this command"
        raise UsageError("standard input cannot be read", remedy=remedy) from None
    with context.app() as app:
        make_server(app, bundles).run("stdio")


def make_server(app: App, bundles: Path) -> MCPServer:
    """Return a server whose tools run the bundles below a folder. Raises `UsageError` without `mcp`."""
    try:
        from mcp.server.mcpserver import MCPServer
    except ImportError as error:
        remedy = 'install it: `pip install "localrun-tasks[mcp]"`'
        raise UsageError("the package `mcp` is not installed", remedy=remedy) from error
    own = _Tools(app, bundles)
    functions = (own.validate, own.run, own.status, own.logs, own.diff, own.explain)
    return MCPServer(
        "localrun",
        instructions=_INSTRUCTIONS,
        version=__version__,
        tools=[_strict_tool(function) for function in functions],
        log_level="WARNING",
    )


def _strict_tool(function: Callable[..., Any]) -> Tool:
    """Return the tool of a function. It refuses unknown arguments, such as `network`, which `mcp` ignores."""
    from mcp.server.mcpserver.tools import Tool

    tool = Tool.from_function(function)
    arguments = tool.fn_metadata.arg_model
    arguments.model_config["extra"] = "forbid"
    arguments.model_rebuild(force=True)
    tool.parameters = arguments.model_json_schema(by_alias=True)
    return tool


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Turn an error into the answer of a tool, with all problems and the remedy."""
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        yield
    except (LocalrunError, OSError) as error:
        raise ToolError(str(error)) from error


class _Tools:
    """The tools. Their docstrings and parameters are what the agent sees."""

    def __init__(self, app: App, bundles: Path) -> None:
        self._app = app
        self._store = self._make_store(bundles)

    def _make_store(self, bundles: Path) -> BundleStore:
        from localrun.server.bundle_store import BundleStore

        settings = self._app.settings
        uploads = settings.home / "bundles"
        return BundleStore((bundles,), uploads, cache=settings.cache, home=settings.home, logs=settings.logs)

    def validate(self, bundle: str) -> Fields:
        """Check a bundle without running it. Each finding has its place, its reason and a hint."""
        with _tool_errors():
            from localrun.bundle.validation.validator import validate

            path = self._store.find_bundle(bundle)
            return validate(path, cache=self._app.settings.cache, engine=lambda: self._app.engine).as_dict()

    def run(
        self,
        bundle: str,
        inputs: dict[str, Any] | None = None,
        timeout: float | None = None,
        build_args: dict[str, str] | None = None,
    ) -> Fields:
        """Run a bundle and wait for its end. Return its state, outputs, cause, problems, and end of the log.

        `bundle` is a path below the served folder. `inputs` are values by name; a file is "@PATH" below that
        folder. `timeout` is in seconds. The task has no network.
        """
        with _tool_errors():
            from localrun.manager.payload import from_payload

            given: Fields = {"bundle": bundle, "inputs": inputs or {}, "network": False}
            given |= {"timeout": timeout} if timeout is not None else {}
            given |= {"build_args": build_args} if build_args else {}
            store, manager = self._store, self._app.manager
            request = from_payload(given, store.find_bundle, store.find_file, self._app.settings)
            task = manager.submit(request.replace(detached=False, wait_for_inputs=False, assigned_by="mcp"))
            record = manager.wait(task)
            assert record is not None
            return {**_fields(record), "log": self._log(record, _LOG_LINES)}

    def status(self, task_id: str = "last") -> Fields:
        """Show the state of a task, why it ended, its inputs, outputs, steps and resource usage."""
        with _tool_errors():
            from localrun.cli.status import status_fields

            return status_fields(self._app.find(task_id)[1])

    def logs(self, task_id: str = "last", lines: int = _LOG_LINES) -> str:
        """Return the last lines that the program of a task printed."""
        with _tool_errors():
            return self._log(self._app.find(task_id)[1], lines)

    def diff(self, first: str, second: str = "last") -> Fields:
        """Compare two tasks: bundle, inputs, options, result and outputs; files by content."""
        with _tool_errors():
            from localrun.values.compare import ComparedTask, diff_tasks

            sides = [ComparedTask(record, place) for place, record in map(self._app.find, (first, second))]
            found = diff_tasks(*sides)
            return {"same": not found, "differences": [change.as_dict() for change in found]}

    def explain(self, word: str) -> list[Fields]:
        """Explain a state, step, cause or error code, also one of App Engine, Inductiva or iExec."""
        with _tool_errors():
            from localrun.cli.explain import meanings

            return meanings(word)

    def _log(self, record: TaskRecord, lines: int) -> str:
        from localrun.api.tail import last_lines

        try:
            text = self._app.store.open(record.id).log.read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return last_lines(text, lines)


def _fields(record: TaskRecord) -> Fields:
    from localrun.console.results import as_fields

    return as_fields(record)
