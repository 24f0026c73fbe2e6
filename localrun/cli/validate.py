"""`localrun validate`: would a bundle run, and would App Engine accept it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.cli.signals import Interrupted, SignalHandler

if TYPE_CHECKING:
    from localrun.bundle.validation.validator import ValidationReport


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@options.image
@options.build_args
@click.option("--strict", is_flag=True, help="Fail for warnings, too.")
@options.as_json
@pass_context
def command(
    context: CliContext,
    /,
    *,
    bundle: Path,
    image: str | None,
    build_args: options.Pairs,
    strict: bool,
    as_json: bool,
) -> int:
    """Check BUNDLE without running it: descriptor, zip, image archive, and whether its program can start.

    Says whether App Engine would accept it, and each reason why not, with its place, the answer that App
    Engine would give, and what to do. The image in an archive is looked into there; a Dockerfile is built, if
    an engine answers.

    The exit code is 0 when App Engine would accept it and 3 when it would not.
    """
    from localrun.bundle.validation.validator import validate

    with SignalHandler() as signals, context.app() as app:
        try:
            with signals.interruptible():
                report = validate(
                    bundle,
                    cache=app.settings.cache,
                    engine=lambda: app.engine,
                    image=image,
                    build_args=dict(build_args),
                )
        except Interrupted:
            return ExitCode.INTERRUPTED
    _show(report, context, as_json)
    passed = report.accepted and not (strict and report.findings)
    return ExitCode.FINISHED if passed else ExitCode.BUNDLE_OR_VALUES


def _show(report: ValidationReport, context: CliContext, as_json: bool) -> None:
    if as_json:
        from localrun.console.results import print_json

        print_json(report.as_dict())
    else:
        from localrun.cli.findings import print_report

        print_report(report, context.environ)
