"""The `localrun` command: its options, its entry point and its errors."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

import click

from localrun._version import __version__
from localrun.cli import options
from localrun.cli.context import CliContext, MakeApp
from localrun.cli.exit_codes import ExitCode, code_for_error
from localrun.cli.failures import as_failure
from localrun.cli.group import SECTIONS, RootGroup
from localrun.console import streams
from localrun.console.streams import print_json
from localrun.errors import LocalrunError, TaskKilled

__all__ = ["main"]


@click.group(
    cls=RootGroup,
    sections=SECTIONS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="localrun", message="%(prog)s %(version)s")
@click.option(
    "--home",
    type=options.RAW,
    metavar="DIR",
    help="Folder of the tasks.  [default: .localrun; env: LOCALRUN_HOME]",
)
@click.pass_context
def commands(ctx: click.Context, home: str | None) -> int:
    """Run containerised tasks on this machine like the platform does."""
    ctx.obj.home = home
    if ctx.invoked_subcommand is None:
        streams.print_out(ctx.get_help())
        return ExitCode.USAGE
    return ExitCode.FINISHED


def main(arguments: Sequence[str] | None = None, make_app: MakeApp | None = None) -> int:
    """Run the command and return its exit code. Errors are printed, never raised."""
    streams.prepare()
    streams.forget_json()
    if arguments is None:
        return _program(sys.argv[1:])
    context = CliContext() if make_app is None else CliContext(make_app=make_app)
    return _checked(list(arguments), context)


def _program(given: list[str]) -> int:
    """Run the command as this process, without garbage collection of the imported modules.

    They live until the exit anyway. Collecting them takes a tenth of the time of a small task.
    """
    gc.disable()
    try:
        return _checked(given, CliContext(on_imported=_restart_gc))
    finally:
        gc.freeze()
        streams.finish()


def _restart_gc() -> None:
    gc.freeze()
    gc.enable()


def _checked(given: list[str], context: CliContext) -> int:
    try:
        return commands.main(given, prog_name="localrun", obj=context, standalone_mode=False) or 0
    except (KeyboardInterrupt, click.Abort):  # click's name for Ctrl+C
        failure: LocalrunError = TaskKilled("interrupted")
    except BrokenPipeError:
        streams.redirect_to_devnull(sys.stdout)
        return ExitCode.FINISHED
    except Exception as error:  # noqa: BLE001 - even a bug ends with an exit code that says so
        failure = as_failure(error)
    code = code_for_error(failure)
    if code != ExitCode.INTERRUPTED:
        context.report(failure)
    if "--json" in given and not streams.printed_json():
        from localrun.console.results import failure_fields

        try:
            print_json(failure_fields(failure))
        except LocalrunError as error:
            context.report(error)
    return code
