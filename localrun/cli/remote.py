"""Options and texts of the commands that use a remote App Engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext
from localrun.cli.exit_codes import ExitCode
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.display.sanitize import escape_lines
from localrun.console.streams import print_err, print_json, print_out
from localrun.errors import UsageError

if TYPE_CHECKING:
    from localrun.api.remote.client import AppEngineClient
    from localrun.api.remote.comparison import Step, Verdict
    from localrun.api.remote.run import RemoteResult
    from localrun.cli.run_options import Choices
    from localrun.manager.request import Request

TOKEN = "LOCALRUN_REMOTE_TOKEN"  # noqa: S105 - the name of a variable
# options of `run` with a meaning for both sides; the others change the run on this machine only
_SHARED = {"image", "timeout", "metadata", "profile", *options.BUILD_FIELDS}

remote = click.option(
    "--remote",
    metavar="URL",
    help="Also run on an App Engine or localrun server, and compare.",
)


def connect(context: CliContext, url: str) -> AppEngineClient:
    """Return a client for the server at a URL."""
    from localrun.api.remote.client import connect as open_client

    return open_client(url, context.environ.get(TOKEN) or None)


def run_remotely(context: CliContext, url: str, request: Request, choices: Choices) -> int:
    """Run a task on a server and on this machine, print both results, and return the exit code."""
    flags = [name for name in ("detach", "shell_on_failure") if getattr(choices, name)]
    own = sorted(
        {"mount" if name == "bind_mounts" else name for name in {*choices.options, *flags} - _SHARED}
    )
    if own:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in own)
        raise UsageError(
            f"{names} cannot be used with --remote: App Engine takes them from the descriptor",
            remedy="omit them, or change the descriptor",
        )
    import tempfile

    from localrun.api.remote.run import RemoteRun

    def notify(text: str) -> None:
        if not choices.quiet:
            print_err(escape_lines(text))

    with (
        SignalHandler() as signals,
        context.app() as app,
        tempfile.TemporaryDirectory(prefix="localrun-") as temporary,
    ):
        folder = Path(temporary) / "outputs"
        run = None
        try:
            with signals.interruptible(), _operations(context, quiet=choices.quiet) as progress:
                client = connect(context, url)
                run = RemoteRun(app, client, request, folder, notify=notify, progress=progress)
                result = run.execute()
        except Interrupted:
            return ExitCode.INTERRUPTED
        finally:
            if run is not None and not run.result.state:
                run.cancel()
        if choices.output is not None and result.outputs is not None:
            _copy(folder, choices.output)
        if choices.as_json:
            print_json(result.as_dict())
        else:
            lines = _lines(result, folder, choices.output, quiet=choices.quiet)
            print_out(escape_lines("\n".join(lines)))
    return _exit_code(result)


def _operations(context: CliContext, *, quiet: bool) -> Any:
    from localrun.console.operations import show_operations

    return show_operations(context.environ, quiet=quiet)


def _copy(folder: Path, target: Path) -> None:
    import shutil

    from localrun import fs

    with fs.wrap_os_errors(target):
        shutil.copytree(folder, target, dirs_exist_ok=True)


def _exit_code(result: RemoteResult) -> ExitCode:
    if result.rejected():
        return ExitCode.BUNDLE_OR_VALUES
    return ExitCode.FINISHED if result.agree and result.state == "FINISHED" else ExitCode.TASK_FAILED


def _lines(result: RemoteResult, folder: Path, output: Path | None, *, quiet: bool) -> Iterator[str]:
    from localrun.console.results import output_lines

    if not quiet:
        yield from table(result.steps)
    for change in result.differences:
        yield f"different output {change.path}: {change.note or 'localrun - server +'}"
        yield from (f"    {line}" for line in change.details)
    if result.outputs is not None:
        place = f"{output.absolute()}/" if output is not None else ""
        for line in output_lines(result.outputs.outputs, [folder]):
            yield line.replace(f"{folder}/", place)  # the folder is temporary
    if not quiet:
        yield summary(result.steps, agree=result.agree, url=result.url)


def table(steps: list[Step]) -> Iterator[str]:
    """Yield a line for each step with both verdicts, and the reasons below it."""
    width = max([12, *(len(step.name) for step in steps)])
    yield f"{'':<{width}}  {'localrun':<10}  server"
    for step in steps:
        mark = "" if step.agree is not False else "  <- they differ"
        words = (_word(step.local), _word(step.remote))
        yield f"{step.name:<{width}}  {words[0]:<10}  {words[1]}{mark}"
        for side, verdict in (("localrun", step.local), ("server", step.remote)):
            yield from (f"    {side}: {reason}" for reason in verdict.reasons)


def _word(verdict: Verdict) -> str:
    return "-" if verdict.word == "unknown" else verdict.word


def summary(steps: list[Step], *, agree: bool, url: str) -> str:
    """Return one line that says whether both agree."""
    if agree:
        return f"localrun and {url} agree"
    names = ", ".join(step.name for step in steps if step.agree is False) or "the content of the outputs"
    return f"localrun and {url} do not agree: {names}"
