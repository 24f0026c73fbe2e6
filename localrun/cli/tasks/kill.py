"""`localrun tasks kill`: stop several tasks at once."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_error
from localrun.console.streams import is_terminal, print_err, print_out
from localrun.errors import LocalrunError, UsageError
from localrun.task.record import short_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localrun.app import App
    from localrun.task.record import TaskRecord

_SHOWN = 5


@click.command()
@options.task_ids
@click.option("--all", "everything", is_flag=True, help="Every task of this folder that has not ended.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: --all asks on a terminal.")
@click.option(
    "--wait-timeout",
    type=options.DURATION,
    metavar="SEC",
    help="Wait no longer for their ends; they are stopped all the same.",
)
@options.as_json
@pass_context
def command(
    context: CliContext,
    task_ids: tuple[str, ...],
    *,
    everything: bool,
    yes: bool,
    wait_timeout: float | None,
    as_json: bool,
) -> int:
    """Stop the tasks ID..., all at once, and wait for their ends.

    Here -w is no short form of --wait-timeout: it means --watch everywhere.
    """
    if bool(task_ids) == everything:
        raise UsageError("give the ids of the tasks, or --all", remedy="`localrun tasks list` shows the ids")
    with context.app(on_exit="leave") as app:
        ids = _active(app) if everything else _named(app, task_ids)
        if everything and ids and not yes:
            _ask(context, ids)
        stops = [_Stop(app, task_id) for task_id in ids]
        deadline = None if wait_timeout is None else time.monotonic() + wait_timeout
        for stop in stops:
            stop.wait(deadline)
        return _print(context, stops, as_json=as_json)


def _active(app: App) -> list[str]:
    """The whole ids; replicas end with the task that they are of."""
    return [record.id for record in app.manager.active_tasks if record.replica is None]


def _named(app: App, task_ids: Sequence[str]) -> list[str]:
    """The whole ids, each once. Raises `TaskNotFound` before any task is touched."""
    return list(dict.fromkeys(app.find(name)[1].id for name in task_ids))


def _ask(context: CliContext, ids: list[str]) -> None:
    if not is_terminal(sys.stdin, context.environ):
        raise UsageError(f"{len(ids)} tasks would be stopped", remedy="add --yes: there is nobody to ask")
    shown = ", ".join(short_id(task_id) for task_id in ids[:_SHOWN])
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    if not click.confirm(f"Stop {shown}{more}?", err=True):
        raise UsageError("nothing was stopped", remedy="answer y, or add --yes")


class _Stop:
    """One task that is being stopped, in a thread of its own."""

    def __init__(self, app: App, task_id: str) -> None:
        self.id = task_id
        self.record: TaskRecord | None = None
        self.error: LocalrunError | None = None
        self._app = app
        self._thread = threading.Thread(target=self._run, name=f"kill-{short_id(task_id)}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.record = self._app.kill(self.id)
        except LocalrunError as error:
            self.error = error

    def wait(self, deadline: float | None) -> None:
        """Until it has ended, or the deadline."""
        while self._thread.is_alive() and (deadline is None or time.monotonic() < deadline):
            self._thread.join(0.1 if deadline is None else max(0.0, min(0.1, deadline - time.monotonic())))


def _print(context: CliContext, stops: Sequence[_Stop], *, as_json: bool) -> int:
    from localrun.console.report import report_error
    from localrun.console.results import as_fields, print_json

    code: int = ExitCode.FINISHED
    for stop in stops:
        if stop.error is not None:
            report_error(stop.error, context.environ)
            code = code_for_error(stop.error)
        elif stop.record is None:
            print_err(f"the task {short_id(stop.id)} is still being stopped")
        elif not as_json:
            print_out(f"{short_id(stop.id)} {stop.record.state}")
    if as_json:
        print_json([as_fields(stop.record) for stop in stops if stop.record is not None])
    elif not stops:
        print_err("no task of this folder is on its way")
    return code
