"""The display of a running task: live on a terminal, as plain lines, or silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TextIO

from localrun.task.events import Event


class Display(Protocol):
    """Shows the progress of a run. Used from one thread; no method raises when the stream is closed."""

    def start(self, bundle: str) -> None:
        """Start the display; the bundle is being read."""

    def show(self, event: Event) -> None:
        """Show an event of the task."""

    def notify(self, message: str) -> None:
        """Show a message that is not an event of the task. Thread-safe."""

    def refresh(self) -> None:
        """Show what waits to be shown, such as a line without an end. Called while no events arrive."""

    def finish(self, omitted: int = 0) -> None:
        """End the display; `omitted` characters of the task's output were not shown."""


class SilentDisplay:
    """Shows messages only, such as the hint that a second Ctrl+C is possible."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def start(self, bundle: str) -> None:
        """Show nothing."""

    def show(self, event: Event) -> None:
        """Show nothing."""

    def notify(self, message: str) -> None:
        """Print one line."""
        from localrun.console.streams import write

        write(self._stream, f"localrun: {message}\n")

    def refresh(self) -> None:
        """Show nothing."""

    def finish(self, omitted: int = 0) -> None:
        """Show nothing."""


def display_for(stream: TextIO, environ: Mapping[str, str], *, quiet: bool = False) -> Display:
    """Return the display that suits a stream."""
    from localrun.console.streams import is_terminal, shows_unicode

    if quiet:
        return SilentDisplay(stream)
    if is_terminal(stream, environ):
        from localrun.console.display.terminal import TerminalDisplay

        return TerminalDisplay(stream, unicode=shows_unicode(stream, environ))
    from localrun.console.display.plain import PlainDisplay

    return PlainDisplay(stream)
