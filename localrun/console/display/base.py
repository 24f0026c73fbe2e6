"""What people see while a task runs: on a terminal, in plain lines, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TextIO

from localrun.task.events import Event


class Display(Protocol):
    """Shows a run as it goes. Used from one thread; no method raises when nobody reads any more."""

    def start(self, bundle: str) -> None:
        """The bundle is being read."""

    def show(self, event: Event) -> None:
        """Something happened."""

    def notify(self, message: str) -> None:
        """Something to tell that is no event of the task. May be called from any thread."""

    def finish(self, omitted: int = 0) -> None:
        """Nothing more follows; `left_out` characters of the task's output were not shown."""


class SilentDisplay:
    """Shows nothing but what the user must know, such as that a second Ctrl+C is possible."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def start(self, bundle: str) -> None:
        """Nothing to show."""

    def show(self, event: Event) -> None:
        """Nothing to show."""

    def notify(self, message: str) -> None:
        """One line."""
        from localrun.console.streams import write

        write(self._stream, f"localrun: {message}\n")

    def finish(self, omitted: int = 0) -> None:
        """Nothing to show."""


def display_for(stream: TextIO, environ: Mapping[str, str], *, quiet: bool = False) -> Display:
    """The display that fits a stream."""
    from localrun.console.streams import is_terminal, shows_unicode

    if quiet:
        return SilentDisplay(stream)
    if is_terminal(stream, environ):
        from localrun.console.display.terminal import TerminalDisplay

        return TerminalDisplay(stream, unicode=shows_unicode(stream, environ))
    from localrun.console.display.plain import PlainDisplay

    return PlainDisplay(stream)
