"""`localrun upload`: upload a bundle to an App Engine, and compare its verdict with localrun's."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.cli.remote import connect, summary, table
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.display.sanitize import escape_control_chars, escape_lines
from localrun.console.operations import show_operations
from localrun.console.streams import print_err, print_json, print_out

if TYPE_CHECKING:
    from localrun.api.remote.comparison import Step


@click.command()
@click.argument("bundle", type=options.PATH)
@click.option(
    "--url",
    required=True,
    metavar="URL",
    help="Address of the server, e.g. http://localhost:8080.",
)
@options.flag("--replace", help="Delete the task of this version, and its runs, first.")
@options.image
@options.build_options
@options.as_json
@options.quiet
@pass_context
def command(
    context: CliContext,
    /,
    *,
    bundle: Path,
    url: str,
    replace: bool,
    image: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Upload BUNDLE to an App Engine or a localrun server.

    A zip is uploaded as it is; any other bundle is built into a zip as by `localrun build`. The verdict of
    the server is shown next to that of `localrun validate`. A URL without a path is completed with
    /app-engine/v1 or /api/v1. The value of LOCALRUN_REMOTE_TOKEN is sent as a bearer token.

    The exit code is 0 if the server accepts the bundle, and 3 if it does not.
    """
    from localrun.api.remote.upload import packed, replace_task, upload

    def warn(message: str) -> None:
        print_err(f"warning: {escape_control_chars(message)}")

    quiet_progress = quiet or as_json
    with SignalHandler() as signals, context.app() as app:
        try:
            with signals.interruptible(), show_operations(context.environ, quiet=quiet_progress) as progress:
                client = connect(context, url)
                build, chosen = options.folder_build(given, image, app.settings)
                with packed(app, bundle, chosen, build, progress=progress, warn=warn) as (archive, report):
                    if replace:
                        replace_task(client, report)
                    step, answer = upload(client, archive, report, progress)
        except Interrupted:
            return ExitCode.INTERRUPTED
    task = answer.json() if answer.is_ok else None
    if as_json:
        fields = {"bundle": str(bundle), "url": client.url, "task": task, **step.as_dict()}
        print_json(fields | {"report": report.as_dict()})
    elif not quiet or not answer.is_ok:
        print_out(escape_lines("\n".join(_lines(step, task, client.url))))
        if answer.status == HTTPStatus.CONFLICT:
            print_err("  hint: increase the version, or delete the task and its runs first: --replace")
    return ExitCode.FINISHED if answer.is_ok else ExitCode.BUNDLE_OR_VALUES


def _lines(step: Step, task: Any, url: str) -> list[str]:
    found = [*table([step]), summary([step], agree=step.agree is not False, url=url)]
    if isinstance(task, dict):
        found.append(f"uploaded {task.get('namespace')} {task.get('version')} as {task.get('id')}")
    return found
