"""`localrun validate`: check whether a bundle can run and App Engine would accept it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_error
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.streams import print_json, print_out
from localrun.errors import LocalrunError, Problem

if TYPE_CHECKING:
    from localrun.bundle.validation.validator import ValidationReport


@click.command()
@click.argument("bundle", type=options.PATH)
@options.image
@options.build_args
@options.flag("--strict", help="Fail on warnings, too.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "github", "junit"]),
    default="text",
    show_default=True,
    help="Output format; `github` prints workflow commands.",
)
@options.flag("--json", "as_json", help="Short for --format json.")
@pass_context
def command(
    context: CliContext,
    /,
    *,
    bundle: Path,
    image: str | None,
    build_args: options.Pairs,
    strict: bool,
    output_format: str,
    as_json: bool,
) -> int:
    """Check BUNDLE without running it: descriptor, zip, image archive and entrypoint.

    Reports whether App Engine would accept it. Each finding has its place, App Engine's answer and a hint. An
    image archive is checked in place; a Dockerfile is built if a container engine is available.

    The exit code is 0 if App Engine would accept the bundle and 3 if it would not.
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
        except LocalrunError as error:
            if as_json or output_format == "text":
                raise
            _print_error(error, bundle, context, output_format)
            return code_for_error(error)
    _print(report, bundle, context, "json" if as_json else output_format, strict=strict)
    passed = report.accepted and not (strict and report.findings)
    return ExitCode.FINISHED if passed else ExitCode.BUNDLE_OR_VALUES


def _print(
    report: ValidationReport, bundle: Path, context: CliContext, output_format: str, *, strict: bool
) -> None:
    if output_format == "json":
        print_json(report.as_dict())
    elif output_format == "text":
        from localrun.cli.findings import print_report

        print_report(report, context.environ)
    else:
        from localrun.cli.finding_formats import github, junit

        is_junit = output_format == "junit"
        print_out(junit(report, bundle, strict=strict) if is_junit else "\n".join(github(report, bundle)))


def _print_error(error: LocalrunError, bundle: Path, context: CliContext, output_format: str) -> None:
    """Print a bundle that cannot be read at all, also on standard error."""
    from localrun.bundle.validation.validator import Finding, Severity, ValidationReport
    from localrun.console.report import report_error
    from localrun.console.results import failure_fields

    report_error(error, context.environ)
    if output_format == "json":
        print_json(failure_fields(error))
        return
    problems = error.problems or [Problem("", error.message, error.remedy)]
    findings = tuple(Finding(Severity.ERROR, problem) for problem in problems)
    _print(ValidationReport(str(bundle), findings), bundle, context, output_format, strict=True)
