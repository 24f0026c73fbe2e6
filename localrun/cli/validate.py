"""`localrun validate`: check whether a bundle can run and App Engine would accept it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_error
from localrun.cli.iexec_options import pop_iexec_inputs, with_iexec_options
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.streams import print_json, print_out
from localrun.errors import LocalrunError

if TYPE_CHECKING:
    from pathlib import Path

    from localrun.app import App
    from localrun.bundle.images.build_options import FolderBuild
    from localrun.bundle.validation.findings import ValidationReport
    from localrun.cli.finding_formats import Reports
    from localrun.platforms.iexec import IexecInputs


@click.command()
@click.argument("bundles", metavar="BUNDLE...", nargs=-1, required=True, type=options.PATH)
@options.image
@options.build_options
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
@with_iexec_options
@pass_context
def command(
    context: CliContext,
    /,
    *,
    bundles: Sequence[Path],
    image: str | None,
    strict: bool,
    output_format: str,
    as_json: bool,
    **given: Any,
) -> int:
    """Check each BUNDLE without running it: descriptor, zip, image archive and entrypoint.

    Reports whether App Engine would accept it. Each finding has its place, App Engine's answer and a hint. An
    image archive is checked in place; a Dockerfile is built if a container engine is available.

    With --profile iexec, BUNDLE is an app: its image, program and arguments are checked as a worker needs
    them.

    The exit code is 0 if App Engine would accept all bundles, and 3 if it would not or if an image could not
    be built or pulled and so was not checked.
    """
    from localrun.cli.finding_formats import error_report
    from localrun.console.report import report_error
    from localrun.console.results import failure_fields

    inputs = pop_iexec_inputs(given, context.settings)
    build, image = options.folder_build(given, image, context.settings)
    codes = []
    reports = []
    output_format = "json" if as_json else output_format
    with SignalHandler() as signals, context.app() as app:
        for bundle in bundles:
            try:
                with signals.interruptible():
                    report = _validate(app, bundle, image, build, inputs)
                codes.append(_exit_code(report, strict=strict))
            except Interrupted:
                return ExitCode.INTERRUPTED
            except LocalrunError as error:
                if len(bundles) == 1 and (as_json or output_format == "text"):
                    raise
                report_error(error, context.environ)
                if len(bundles) == 1 and output_format == "json":
                    print_json(failure_fields(error))
                    return code_for_error(error)
                report = error_report(error, bundle)
                codes.append(code_for_error(error))
            reports.append((bundle, report))
    _print(reports, context, output_format, strict=strict)
    return next((code for code in codes if code is not ExitCode.FINISHED), ExitCode.FINISHED)


def _validate(
    app: App, bundle: Path, image: str | None, build: FolderBuild, inputs: IexecInputs | None
) -> ValidationReport:
    """Validate a bundle, or an iExec app with its inputs. Raises `LocalrunError` if it cannot be read."""
    from localrun.bundle.validation.validator import validate, validate_app

    cache = app.settings.cache
    if inputs is None:
        return validate(bundle, cache=cache, engine=lambda: app.engine, image=image, build=build)
    from localrun.manager.request import Request, to_iexec_request
    from localrun.manager.submission import read_requested

    asked = Request(
        bundle,
        image=image,
        dockerfile=build.dockerfile,
        context=build.context,
        target=build.target,
        build_args=dict(build.build_args),
        build_contexts=dict(build.contexts),
        build_secrets=build.secrets,
        platform=build.platform,
    )
    request = to_iexec_request(asked, inputs, str(bundle))
    found = read_requested(request, cache)
    return validate_app(found, request.command, cache=cache, engine=lambda: app.engine, build=build)


def _exit_code(report: ValidationReport, *, strict: bool) -> ExitCode:
    if not report.accepted or (strict and report.findings):
        return ExitCode.BUNDLE_OR_VALUES
    return code_for_error(report.image_error) if report.image_error else ExitCode.FINISHED


def _print(reports: Reports, context: CliContext, output_format: str, *, strict: bool) -> None:
    if output_format == "json":
        records = [report.as_dict() for _, report in reports]
        print_json(records[0] if len(records) == 1 else records)
    elif output_format == "text":
        from localrun.cli.findings import print_report

        for _, report in reports:
            print_report(report, context.environ)
    elif output_format == "github":
        from localrun.cli.finding_formats import github

        print_out("\n".join(line for bundle, report in reports for line in github(report, bundle)))
    else:
        from localrun.cli.finding_formats import junit

        print_out(junit(reports, strict=strict))
