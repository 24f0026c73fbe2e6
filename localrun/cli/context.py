"""What every command needs: the environment, the options of all commands, and the app."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.manager.manager import OnExit
    from localrun.settings import Settings

MakeApp = Callable[["Settings"], "App"]


def _app(settings: Settings) -> App:
    from localrun.app import App

    return App(settings)


@dataclass
class CliContext:
    """The only place of the command that reads the environment.

    `make_app` may be replaced in tests; `imported` is called once all that a command needs is imported.
    """

    home: str | None = None
    make_app: MakeApp = _app
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    on_imported: Callable[[], None] = lambda: None

    @contextmanager
    def app(self, *, on_exit: OnExit = "kill") -> Iterator[App]:
        """The app, closed at the end; `on_exit` says what becomes of tasks that it carries then.

        Raises `UsageError` for settings that do not fit.
        """
        from localrun import settings

        app = self.make_app(settings.load(self.environ, home=self.home))
        try:
            yield app
        finally:
            app.close(on_exit=on_exit)


pass_context = click.make_pass_decorator(CliContext)
