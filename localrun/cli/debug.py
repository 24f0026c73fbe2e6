"""`localrun debug`: show a task like `iexec task debug`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_error
from localrun.console.display.sanitize import escape_control_chars, escape_lines
from localrun.console.streams import print_err, print_json, print_out
from localrun.errors import LocalrunError

if TYPE_CHECKING:
    from localrun.app import App

_WIDTH = 18  # of a label


@click.command()
@options.task_id
@options.flag("--logs", help="Add the last 100,000 characters of each worker's log.")
@options.flag("--raw", help="Print JSON like iExec, also for errors.")
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, *, logs: bool, raw: bool, as_json: bool) -> int:
    """Show the task ID and its replicas like `iexec task debug`: statuses, times, causes and exit codes.

    The keys are those of iExec, with `local` in place of `onchainData`. Workers are named local-1, local-2
    and so on. `localrun explain WORD` explains a status or cause.
    """
    try:
        with context.app() as app:
            found = _view(app, task_id, logs=logs)
    except LocalrunError as error:
        if not raw:
            raise
        fields = {"name": type(error).__name__, "message": error.message}
        print_err(json.dumps({"ok": False, "command": "debug", "error": fields}))
        return code_for_error(error)
    if raw or as_json:
        print_json({"ok": True, **found})
    else:
        print_out("\n".join(_lines(found)))
    return ExitCode.FINISHED


def _view(app: App, task_id: str, *, logs: bool) -> dict[str, Any]:
    from localrun.cli import iexec_view
    from localrun.report.details.docker_command import docker_command

    _, record = app.find(task_id)
    replicas = app.replicas(record)
    found = iexec_view.view(record, replicas)
    found["local"]["dockerCommand"] = docker_command(record, app.store.open(record.id)) or None
    if logs:
        runs = iexec_view.worker_runs(record, replicas)
        found["appLogs"] = [iexec_view.log(worker, app.store.open(run.id)) for worker, run in runs]
    return found


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield "Local data"
    for name, value in found["local"].items():
        if value not in (None, "", []):
            text = escape_lines(_text(value)).replace("\n", "\n" + " " * (_WIDTH + 2))
            yield f"  {name:<{_WIDTH}}{text}"
    task = found["offchainData"]["task"]
    yield "Off-chain data"
    yield f"  task: {task['status']}"
    yield from _history(task["statusHistory"])
    for replicate in found["offchainData"]["replicates"]:
        code = replicate["exitCode"]
        ended = "" if code is None else f", exit code {code}"
        yield f"  replicate {replicate['worker']}: {replicate['status']}{ended}"
        yield from _history(replicate["statusHistory"])
    if "appLogs" in found:
        yield "App logs"
        for log in found["appLogs"]:
            yield from _log(log)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(map(str, value.values()))
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _history(entries: list[dict[str, str]]) -> Iterator[str]:
    for entry in entries:
        cause = f" ({entry['cause']})" if "cause" in entry else ""
        yield f"    {entry['date']}  {entry['status']}{cause}"


def _log(log: dict[str, str]) -> Iterator[str]:
    for stream in ("stdout", "stderr"):
        text = log[stream]
        yield f"  {log['worker']} {stream}:" + ("" if text else " no output")
        for line in text.splitlines():
            yield f"    {escape_control_chars(line)}"
