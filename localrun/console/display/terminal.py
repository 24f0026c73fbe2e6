"""A display for terminals: finished steps, the task's output, and the current phase as a live line."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import IO, TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from localrun.console.display.plain import is_size
from localrun.console.display.sanitize import LineBuffer, escape_control_chars
from localrun.console.display.transfer import Transfer
from localrun.console.streams import LenientStream
from localrun.task.events import Event
from localrun.units import format_duration

_STREAMS = ("stdout", "stderr")
REFRESHES = 8  # a second
_LINES = 200  # of output per refresh: more cannot be read, and printing them would slow down the task's log
_CHARS = 64 * 1024  # of output per refresh
_GROWING = 500  # characters of a line without an end that are shown
_PHASES = {  # state -> the current phase
    "CREATED": "validating inputs",
    "QUEUING": "waiting for resources",
    "PENDING": "preparing image",
}


def make_console(stream: TextIO) -> Console:
    """Return a console that prints text literally. NO_COLOR and the width are handled by rich."""
    return Console(
        file=cast(IO[str], LenientStream(stream)), highlight=False, markup=False, emoji=False, soft_wrap=True
    )


class Phase:
    """The live line of the current phase: a spinner, its duration, and a bar if the size is known.

    `above` returns the lines above it.
    """

    def __init__(self, spinner: str, above: Callable[[], list[Text]] = list) -> None:
        self._spinner = Spinner(spinner)
        self._above = above
        self.set("")

    def set(self, text: str) -> None:
        self.text = text
        self.started = time.monotonic()
        self.transfer = Transfer()

    def show_progress(self, what: str, done: int, total: int | None) -> None:
        """Show an operation; its progress is in bytes unless the total is small."""
        text = escape_control_chars(what)
        if text != self.text:
            self.set(text)
        if is_size(total) or (total is None and done):
            self.transfer.update(done, total or 0)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def __rich__(self) -> RenderableType:
        row = Table.grid(padding=(0, 1))
        cells: list[RenderableType] = [self._spinner, Text(self.text, no_wrap=True, overflow="ellipsis")]
        if self.transfer.total:
            cells.append(ProgressBar(self.transfer.total, self.transfer.done, width=24))
        if self.transfer.done:
            amount = ", ".join(filter(None, (self.transfer.amount, self.transfer.speed)))
            cells.append(Text(amount, no_wrap=True))
        cells.append(
            Text(format_duration(int(self.seconds)) if self.seconds >= 1 else "", "dim", no_wrap=True)
        )
        row.add_row(*cells)
        return Group(*self._above(), row)


class _Backlog:
    """Output to print next. If there is more than can be read, only the last lines are kept."""

    def __init__(self) -> None:
        self._lines: deque[tuple[str, str]] = deque()
        self._size = 0
        self._omitted = 0

    def add(self, name: str, lines: list[str]) -> None:
        self._omitted += max(0, len(lines) - _LINES)
        for line in lines[-_LINES:]:
            self._lines.append((name, line))
            self._size += len(line)
        while len(self._lines) > _LINES or (self._size > _CHARS and len(self._lines) > 1):
            self._size -= len(self._lines.popleft()[1])
            self._omitted += 1

    def take(self) -> tuple[int, list[tuple[str, str]]]:
        """Return the number of omitted lines, and the lines to print. Both are forgotten."""
        found = self._omitted, list(self._lines)
        self._lines.clear()
        self._size = self._omitted = 0
        return found


class TerminalDisplay:
    """Prints finished events and refreshes a live line below them."""

    def __init__(self, stream: TextIO, *, unicode: bool = True) -> None:
        self._console = make_console(stream)
        self._good, self._bad, self._bar = ("✓", "✗", "│") if unicode else ("ok", "failed", "|")
        self._phase = Phase("dots" if unicode else "line", self._growing)
        self._buffers = {name: LineBuffer() for name in _STREAMS}
        self._output = _Backlog()
        self._printed = 0.0  # time of a monotonic clock
        self._image: float | None = None  # start of its preparation (seconds since 1970)
        self._live = Live(self._phase, console=self._console, transient=True, refresh_per_second=REFRESHES)

    def start(self, bundle: str) -> None:
        """Print the bundle and start the live line."""
        self._console.print(Text(escape_control_chars(bundle), "bold"))
        self._phase.set("reading bundle")
        self._live.start(refresh=True)

    def show(self, event: Event) -> None:
        """Print an event, or update the live line with it."""
        if event.kind == "log":
            self._log(event.data["stream"], event.data["text"])
            return
        if event.kind == "progress":
            self._progress(event)
            return
        self._print_output()
        match event.kind:
            case "step":
                self._step(event)
            case "state":
                self._state(event)
            case "warning":
                self._print(Text.assemble(("  ! ", "yellow"), escape_control_chars(event.message)))
            case _:
                self._print(Text(f"    {escape_control_chars(event.message)}", "dim"))

    def _state(self, event: Event) -> None:
        state = event.data["state"]
        if state in _PHASES:
            self._phase.set(_PHASES[state])
        if state == "PENDING":
            self._image = event.time
        if state in ("FAILED", "KILLED") and self._image is not None:
            self._end_image(self._bad, "red", event.time)

    def _end_image(self, mark: str, colour: str, now: float) -> None:
        if self._image is not None:
            self._line(mark, colour, "image", max(now - self._image, 0.0))
        self._image = None

    def _progress(self, event: Event) -> None:
        self._phase.show_progress(**event.data)

    def _step(self, event: Event) -> None:
        step, status = event.data["step"], event.data["status"]
        if status == "started":
            self._end_image(self._good, "green", event.time)
            self._phase.set(step)
            return
        self._flush()
        mark, colour = (self._bad, "red") if status == "failed" else (self._good, "green")
        self._line(mark, colour, step, event.data.get("seconds"), event.data.get("how") or "")
        self._phase.set("")

    def _line(self, mark: str, colour: str, name: str, seconds: float | None, how: str = "") -> None:
        duration = "" if seconds is None else format_duration(seconds)
        text = Text.assemble(
            (f"  {mark} ", colour), f"{name:<12}{duration:>10}", (f"  {escape_control_chars(how)}", "dim")
        )
        self._console.print(text, soft_wrap=False, no_wrap=True, overflow="ellipsis")

    def _log(self, name: str, text: str) -> None:
        self._output.add(name, self._buffers[name].feed(text))
        if time.monotonic() - self._printed >= 1 / REFRESHES:
            self._print_output()

    def _flush(self) -> None:
        for name, buffer in self._buffers.items():
            self._output.add(name, buffer.flush())
        self._print_output()

    def refresh(self) -> None:
        self._print_output()

    def _growing(self) -> list[Text]:
        lines = ((name, buffer.growing[-_GROWING:]) for name, buffer in self._buffers.items())
        return [self._marked(name, line, no_wrap=True) for name, line in lines if line]

    def _print_output(self) -> None:
        omitted, lines = self._output.take()
        if not lines:
            return
        text = Text()
        if omitted:
            text.append(f"  {self._bar} {omitted} lines not shown; the log has them all\n", "dim")
        for name, line in lines:
            text.append_text(self._marked(name, line)).append("\n")
        text.right_crop(1)
        self._print(text)
        self._printed = time.monotonic()

    def _marked(self, name: str, line: str, *, no_wrap: bool = False) -> Text:
        colour = "yellow" if name == "stderr" else "blue"
        text = Text.assemble((f"  {self._bar} ", colour), escape_control_chars(line))
        text.no_wrap, text.overflow = no_wrap or None, "ellipsis" if no_wrap else None
        return text

    def _print(self, text: Text) -> None:
        self._console.print(text)

    def notify(self, message: str) -> None:
        self._print(Text(f"  {escape_control_chars(message)}", "bold yellow"))

    def finish(self, omitted: int = 0) -> None:
        """Remove the live line, so the result can follow."""
        self._flush()
        if omitted:
            self.notify(f"{omitted} characters of task output were not shown; the log has them all")
        self._live.stop()
