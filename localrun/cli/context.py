"""The click context object: the environment, the global options and the app."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import click

from localrun.cli.exit_codes import ExitCode, code_for_error

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.errors import LocalrunError
    from localrun.settings import Settings
    from localrun.settings.options import OnExit

MakeApp = Callable[["Settings"], "App"]


def _app(settings: Settings) -> App:
    from localrun.app import App

    return App(settings)


@dataclass
class CliContext:
    """The context of a command, and the only place in `cli` that reads the environment.

    Tests replace `make_app`. Commands call `on_imported` when all their imports are done.
    """

    home: str | None = None
    make_app: MakeApp = _app
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    on_imported: Callable[[], None] = lambda: None

    @cached_property
    def settings(self) -> Settings:
        """The settings of the command. Raises `UsageError` with every invalid one."""
        from localrun import settings

        return settings.load(self.environ, home=self.home)

    def report(self, error: LocalrunError) -> ExitCode:
        """Print an error and return its exit code."""
        from localrun.console.report import report_error

        report_error(error, self.environ)
        return code_for_error(error)

    @contextmanager
    def app(self, *, on_exit: OnExit = "kill", keep_completed: int | None = None) -> Iterator[App]:
        """Open the app and close it at the end; `on_exit` decides about tasks that still run in it.

        `keep_completed` is the number of ended tasks in memory; None: that of the settings. Raises
        `UsageError` if a setting is invalid.
        """
        settings = self.settings
        if keep_completed is not None:
            from msgspec.structs import replace

            settings = replace(settings, keep_completed=keep_completed)
        app = self.make_app(settings)
        try:
            yield app
        finally:
            app.close(on_exit=on_exit)


pass_context = click.make_pass_decorator(CliContext)
