"""`localrun shell`: a shell in the setup of a task."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun import fs
from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.iexec_options import pop_iexec_inputs, with_iexec_options
from localrun.cli.run_options import Choices, with_setup_options
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.cli.sources import BundleSource, RerunSource, TaskSource
from localrun.cli.terminal import StandardStreams, has_terminal
from localrun.console.display.base import Display, display_for
from localrun.console.streams import print_err
from localrun.errors import LocalrunError, TaskKilled
from localrun.units import format_count

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.task.events import Event
    from localrun.task.record import TaskRecord


@click.command()
@click.argument("subject", type=options.PATH_TEXT, metavar="ID|BUNDLE", shell_complete=options.complete_task)
@with_setup_options
@click.option("-o", "--output", type=options.DIR, metavar="DIR", help="Copy the output folder to DIR.")
@with_iexec_options
@pass_context
def command(context: CliContext, /, subject: str, output: Path | None, **given: Any) -> int:
    """Open a shell in the setup of a task, in place of its program.

    For the task ID, it has the image, inputs, limits and variables of that task; for BUNDLE, those that
    `localrun run` would use. The output folder is empty. The command that would start the program is shown.

    An image without a shell gets this machine's static busybox. Without a terminal, the shell reads its
    commands from standard input. The exit code is that of the shell.
    """
    iexec = pop_iexec_inputs(given, context.settings)
    is_bundle = os.path.lexists(subject) or iexec is not None or "/" in subject
    source = BundleSource(subject, iexec) if is_bundle else RerunSource(subject, same_image=True)
    return open_shell(context, source, Choices.of(given), output)


def open_shell(context: CliContext, source: TaskSource, choices: Choices, output: Path | None = None) -> int:
    """Open a shell for the task of `source` and return its exit code."""
    display = display_for(sys.stderr, context.environ)
    with SignalHandler() as signals:
        try:
            with context.app() as app:
                display.start(f"shell of {source.label}")
                try:
                    return _Shell(app, source, choices, signals, display, output).run()
                finally:
                    display.finish()
        except Interrupted:
            error: LocalrunError = TaskKilled("stopped before the shell was opened", remedy="run it again")
        except LocalrunError as failure:
            error = failure
        return context.report(error)


def open_after_failure(context: CliContext, record: TaskRecord) -> None:
    """Open a shell in the setup of a task that has failed, if there is a terminal."""
    again = f"`localrun shell {record.short_id}` opens it"
    if not record.image:
        print_err(f"warning: no shell was opened: the task has no image ({record.cause})")
    elif not has_terminal():
        print_err(f"warning: no shell was opened: there is no terminal; {again}")
    else:
        choices = Choices(assignments=(), inputs=None, options={})
        open_shell(context, RerunSource(record.id, same_image=True), choices)


@dataclass(frozen=True)
class _Shell:
    """A shell to open: its app, where its task comes from, and where the outputs are copied."""

    app: App
    source: TaskSource
    choices: Choices
    signals: SignalHandler
    display: Display
    output: Path | None

    def run(self) -> int:
        """Open the shell and return its exit code."""
        home = self.app.settings.home
        with fs.wrap_os_errors(home), fs.temp_file(home / "shell") as folder:
            home.mkdir(parents=True, exist_ok=True)
            return self._run_in(folder)

    def _run_in(self, folder: Path) -> int:
        """Run the shell as a task of its own folder, so that it is not in the list of tasks."""
        from msgspec.structs import replace

        from localrun.app import App
        from localrun.manager.submission import Submitter
        from localrun.runner.shell import open_shell

        own = App(replace(self.app.settings, home=folder), self.app.engine)
        with self.signals.interruptible():
            request = self.source.request(self.app, self.choices, self.display.notify)
            request = replace(request, replicas=1, agree=None, retries=0, detached=False, timeout=None)
            submitter = Submitter(own.store, own.settings, lambda: own.engine)
            prepared = submitter.prepare(submitter.read(request), (self._show,), check=lambda _: None)
        task, terminal = prepared.task, StandardStreams(self.display.finish)

        def stop(_: int) -> None:
            task.cancel()
            own.runner.stop(task, 0.0)

        with self.signals.on_signal(stop):
            open_shell(own.runner, task, prepared.descriptor, prepared.source, terminal)
        if task.record.cause is not None:
            from localrun.api.exceptions import TaskFailed

            raise TaskFailed(task.record)
        self._keep_outputs(task.workspace.outputs)
        return task.record.exit_code or 0

    def _show(self, event: Event) -> None:
        if event.kind not in ("state", "step"):  # of a task that is not in the list
            self.display.show(event)

    def _keep_outputs(self, outputs: Path) -> None:
        from localrun.copying import copy_tree
        from localrun.values.listing import list_folder

        entries = list_folder(outputs).entries
        if self.output is not None:
            with fs.wrap_os_errors(self.output):
                self.output.mkdir(parents=True, exist_ok=True)
                copy_tree(outputs, self.output)
        elif entries:
            count = format_count(sum(entry.kind != "folder" for entry in entries), "file")
            print_err(f"the output folder with {count} was deleted; -o DIR copies it")
