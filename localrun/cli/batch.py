"""`localrun batch`: run a bundle over many rows of inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.cli.pipes import notice_of_pipe
from localrun.cli.run_options import Choices, timeout, with_repetition, with_setup_options
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.cli.sources import BundleSource
from localrun.console.batch import BatchProgress
from localrun.console.display.sanitize import escape_lines
from localrun.console.streams import print_err, print_json, print_out
from localrun.errors import TaskKilled, UsageError
from localrun.units import format_count

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.batch.batch import BatchRun
    from localrun.batch.options import BatchOptions
    from localrun.batch.product import Axis
    from localrun.batch.rows import RowSource

_KEPT = 16  # ended tasks in memory: the table has the results of all


def _over(text: str) -> Axis:
    from localrun.batch.product import over

    return over(text)


def _grid(text: str) -> Axis:
    from localrun.batch.product import grid

    return grid(text)


@click.command()
@click.argument("bundle", type=options.PATH_TEXT)
@click.option(
    "--table", type=options.FILE, metavar="FILE", help="CSV or JSON Lines with a row for each task."
)
@click.option(
    "--over",
    cls=options.Repeated,
    type=options.param_type("NAME=@PATTERN", _over, allow_bytes=True),
    metavar="NAME=@PATTERN",
    multiple=True,
    shell_complete=options.completer("inputs"),
    help="A row for each file, e.g. image=@slides/*.png.",
)
@click.option(
    "--grid",
    cls=options.Repeated,
    type=options.param_type("NAME=VALUES", _grid),
    metavar="NAME=VALUE,VALUE",
    multiple=True,
    shell_complete=options.completer("inputs"),
    help="A row for each value; also a JSON list.",
)
@click.option("-j", "--jobs", type=options.COUNT, help="Tasks at once.  [default: as many as fit]")
@click.option(
    "--cluster", metavar="ADDRESS", help="Dask cluster, e.g. tcp://host:8786, or local:2 for 2 workers."
)
@options.output
@options.in_image
@click.option(
    "--results",
    type=options.FILE,
    metavar="FILE",
    help="Table of results (.csv and .jsonl).  [default: in DIR]",
)
@options.flag("--resume", help="Run only rows that have not ended.")
@options.flag("--rerun-failed", help="With the rows that failed; implies --resume.")
@options.flag("--skip-invalid", help="Run the valid rows although others are invalid.")
@with_setup_options
@timeout
@with_repetition
@options.as_json
@options.quiet
@pass_context
def command(context: CliContext, /, bundle: str, **given: Any) -> int:
    """Run the task of BUNDLE for each row of a table, or for each combination of files and values.

    The results are a table with a row for each task. Ctrl+C stops the tasks; --resume continues.
    """
    table, axes = given.pop("table"), [*given.pop("over"), *given.pop("grid")]
    jobs, cluster, chosen = given.pop("jobs"), given.pop("cluster"), _options(given)
    choices = Choices.of({**given, "output": chosen.output, "in_image": chosen.in_image})
    progress = BatchProgress(sys.stderr, context.environ, quiet=choices.quiet)
    with SignalHandler() as signals, context.app(keep_completed=_KEPT) as app:
        try:
            with signals.interruptible():
                source = _source(table, axes)
                batch = _batch(
                    *(app, bundle, choices, source, chosen),
                    jobs=jobs,
                    cluster=cluster,
                    notify=progress.notify,
                )
        except Interrupted:
            raise TaskKilled("stopped before the first row started", remedy="run it again") from None
        context.on_imported()  # garbage would pile up row by row
        with progress.of(batch.progress), signals.on_signal(lambda number: _stop(batch, progress, number)):
            for result in batch:
                progress.show(result.is_finished, batch.name_of(result.row), result.cause, result.message)
        return _report(batch, choices, stopped=signals.count > 0)


def _source(table: Path | None, axes: list[Axis]) -> RowSource:
    if (table is None) == (not axes):
        message = "--table excludes --over and --grid" if axes else "no rows: pass --table, --over or --grid"
        raise UsageError(message, remedy="e.g. `--table inputs.csv` or `--over 'image=@slides/*.png'`")
    if table is not None:
        from localrun.batch.table import TableRows

        with notice_of_pipe(table):
            return TableRows(table, sys.stdin.buffer if str(table) == "-" else None)
    from localrun.batch.product import ProductRows

    return ProductRows(axes)


def _options(given: dict[str, Any]) -> BatchOptions:
    from localrun.batch.options import BatchOptions

    names = ("output", "in_image", "results", "resume", "rerun_failed", "skip_invalid")
    found = {name: given.pop(name) for name in names}
    return BatchOptions(**found | {"resume": found["resume"] or found["rerun_failed"]})


def _batch(
    app: App,
    bundle: str,
    choices: Choices,
    source: RowSource,
    chosen: BatchOptions,
    *,
    jobs: int | None,
    cluster: str | None,
    notify: Callable[[str], None],
) -> BatchRun:
    """Check all rows, and return the batch, which has not started."""
    from localrun.batch.backends import backend_for
    from localrun.batch.batch import BatchRun
    from localrun.manager.option_hints import option_hints

    app.connect_in_background()
    request = BundleSource(bundle, None).given(choices, app.settings)
    backend = backend_for(app, request, cluster=cluster, jobs=jobs, notify=notify)
    with option_hints(options.names_of_command):
        return BatchRun(app, request, source, chosen, backend=backend, notify=notify)


def _stop(batch: BatchRun, progress: BatchProgress, number: int) -> None:
    """Stop the rows in flight. Called in a new thread for each signal."""
    progress.notify("stopping (press Ctrl+C again to kill)" if number == 1 else "killing")
    batch.stop(None if number == 1 else 0.0)


def _report(batch: BatchRun, choices: Choices, *, stopped: bool) -> int:
    """Print the summary, and return the exit code."""
    from localrun.console.results import shorten_path

    finished, total = batch.counts.get("FINISHED", 0), len(batch)
    table = shorten_path(str(batch.table.csv))
    if choices.as_json:
        print_json(batch.summary())
    elif choices.quiet:
        print_out(table)
    else:
        for line in (*batch.warnings.lines(), *batch.reuse.lines()):
            print_err(escape_lines(line))
        others = [f"{number:,} {state}" for state, number in batch.counts.items() if state != "FINISHED"]
        ended = f"{finished:,} of {format_count(total, 'row', grouped=True)} finished"
        print_out(", ".join([ended, *others]))
        print_out(f"results: {table}")
    if stopped and not batch.is_complete:
        print_err("stopped; continue with --resume")
        return ExitCode.INTERRUPTED
    if finished == total:
        return ExitCode.FINISHED
    return ExitCode.SOME_FAILED if finished else ExitCode.TASK_FAILED
