"""`localrun kill`: stop tasks of any process."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.console.streams import is_terminal, print_err, print_json, print_out
from localrun.errors import LocalrunError, UsageError
from localrun.task.record import short_id
from localrun.units import format_count

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.task.record import TaskRecord

_MAX_NAMED = 5


@click.command()
@options.task_id
@click.option(
    "--grace",
    type=options.DURATION,
    help="Time between SIGTERM and SIGKILL.  [default: 10s; env: LOCALRUN_GRACE]",
)
@options.flag("--now", help="Send SIGKILL immediately.")
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, grace: float | None, now: bool, as_json: bool) -> None:
    """Stop the task ID and wait for it to end.

    The program gets SIGTERM, then SIGKILL if it is still running after the grace period.
    """
    with context.app() as app:
        record = app.kill(task_id, 0.0 if now else grace, print_err)
    if as_json:
        from localrun.console.results import as_fields

        print_json(as_fields(record))
    else:
        print_out(f"{record.short_id} {record.state}")


def confirm(context: CliContext, ids: Sequence[str]) -> None:
    """Ask before tasks are stopped. Raises `UsageError` without a terminal or a yes."""
    if not is_terminal(sys.stdin, context.environ):
        raise UsageError(
            f"this would stop {format_count(len(ids), 'task')}",
            remedy="pass --yes to confirm (no terminal to prompt on)",
        )
    named = ", ".join(short_id(task_id) for task_id in ids[:_MAX_NAMED])
    more = f" and {len(ids) - _MAX_NAMED} more" if len(ids) > _MAX_NAMED else ""
    if not click.confirm(f"Stop {named}{more}?", err=True):
        raise UsageError("no task was stopped", remedy="answer y, or pass --yes")


def stop_tasks(
    context: CliContext, app: App, ids: Sequence[str], timeout: float | None, *, as_json: bool
) -> int:
    """Stop tasks in parallel, wait at most `timeout` seconds, print the results and return the exit code."""
    from localrun.console.results import as_fields

    found = _kill(app, ids, timeout)
    code: int = ExitCode.FINISHED
    for task_id in ids:
        match found.get(task_id):
            case None:
                print_err(f"task {short_id(task_id)} is still being stopped")
            case LocalrunError() as error:
                code = context.report(error)
            case record if not as_json:
                print_out(f"{short_id(task_id)} {record.state}")
    if as_json:
        print_json([as_fields(one) for one in found.values() if not isinstance(one, LocalrunError)])
    elif not ids:
        print_err("no active tasks in this folder")
    return code


def _kill(app: App, ids: Sequence[str], timeout: float | None) -> dict[str, TaskRecord | LocalrunError]:
    """Kill each task in a thread, because each may take as long as the grace period."""
    from localrun.api.waiting import MAX_SLEEP

    found: dict[str, TaskRecord | LocalrunError] = {}

    def kill(task_id: str) -> None:
        try:
            found[task_id] = app.kill(task_id)
        except LocalrunError as error:
            found[task_id] = error

    threads = [threading.Thread(target=kill, args=(task_id,), daemon=True) for task_id in ids]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    for thread in threads:
        while thread.is_alive() and (left := deadline - time.monotonic()) > 0:
            thread.join(min(MAX_SLEEP, left))
    return {task_id: found[task_id] for task_id in ids if task_id in found}
