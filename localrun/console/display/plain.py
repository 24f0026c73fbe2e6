"""A display in plain lines. Each line names its task, so the log of many tasks can be searched.

[3f9c2b1a] task add-integers: 3f9c2b1a-...
[3f9c2b1a] state PENDING
[3f9c2b1a] step permissions finished (2 ms; on the host)
[3f9c2b1a] progress loading image: 40 % of 1.2 GiB, 120 MiB/s, 6 s left
[3f9c2b1a] out | a line of task output
[3f9c2b1a] err | another

A line that is still growing, such as a prompt or a progress bar, is shown in its current state about once per
second, and again when it is complete.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TextIO, TypeGuard

from localrun.console.display.sanitize import LineBuffer, escape_control_chars
from localrun.console.display.transfer import Transfer
from localrun.console.streams import LenientStream
from localrun.task.events import Event
from localrun.task.record import short_id
from localrun.units import format_bytes, format_duration

_STREAMS = {"stdout": "out", "stderr": "err"}
_SMALLEST = 1024  # bytes
_GROWING = 0.4  # seconds after which a growing line is shown
_GROWING_AGAIN = 1.0  # seconds between two of its states
_STRIDE = 10  # percent between two lines of progress
_INTERVAL = 10.0  # seconds between two lines of progress


class PlainDisplay:
    """Writes one line per event."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = LenientStream(stream)
        self._buffers = {name: LineBuffer() for name in _STREAMS}
        self._growing = {name: _GrowingLine(self._buffers[name]) for name in _STREAMS}
        self._progress = ProgressLines()
        self._task = "localrun"

    def start(self, bundle: str) -> None:
        """Show nothing; the task has no id yet."""

    def show(self, event: Event) -> None:
        self._task = short_id(event.task_id) or self._task
        self._write(self._lines(event))

    def _lines(self, event: Event) -> Iterator[str]:
        match event.kind:
            case "log":
                name = event.data["stream"]
                lines = self._growing[name].without_shown(self._buffers[name].feed(event.data["text"]))
                yield from _marked(name, lines)
                yield from self._grown(name)
            case "progress":
                yield from (f"progress {line}" for line in self._progress.update(**event.data))
            case "step":
                yield from self._step(event)
            case "state":
                yield f"state {event.data['state']}"
            case kind:
                yield f"{kind} {escape_control_chars(event.message)}"

    def _step(self, event: Event) -> Iterator[str]:
        if event.data["status"] != "started":
            yield from self._flush()
        details = []
        if event.data.get("seconds") is not None:
            details.append(format_duration(event.data["seconds"]))
        if event.data.get("how"):
            details.append(escape_control_chars(event.data["how"]))
        ending = f" ({'; '.join(details)})" if details else ""
        yield f"step {event.data['step']} {event.data['status']}{ending}"

    def _flush(self) -> Iterator[str]:
        for name, buffer in self._buffers.items():
            yield from _marked(name, self._growing[name].without_shown(buffer.flush()))

    def _grown(self, name: str) -> Iterator[str]:
        return _marked(name, self._growing[name].due(time.monotonic()))

    def refresh(self) -> None:
        for name in _STREAMS:
            self._write(self._grown(name))

    def notify(self, message: str) -> None:
        self._write([message])

    def finish(self, omitted: int = 0) -> None:
        """Write the incomplete last lines of the output."""
        self._write(self._flush())
        if omitted:
            self.notify(f"note {omitted} characters of task output were not shown; the log has them all")

    def _write(self, lines: Iterator[str] | list[str]) -> None:
        text = "".join(f"[{self._task}] {line}\n" for line in lines)
        if text:
            self._stream.write(text)
            self._stream.flush()


class ProgressLines:
    """The lines that report operations: at their start, every ten percent, and every ten seconds."""

    def __init__(self) -> None:
        self._operations: dict[str, Transfer] = {}
        self._shown: dict[str, tuple[int, float]] = {}  # percent and time of the last line

    def update(self, what: str, done: int, total: int | None) -> Iterator[str]:
        """Yield the lines to show for a progress in bytes, or in steps if the total is small."""
        now = time.monotonic()
        size = total if is_size(total) else 0
        transfer = self._operations.get(what) or self._operations.setdefault(what, Transfer(now))
        transfer.update(done, size, now)
        stride = min(100 * done // total, 100) // _STRIDE if total else 0
        before, since = self._shown.get(what, (-1, now))
        is_due = (bool(size) or done >= _SMALLEST) and now - since >= _INTERVAL
        if stride != before or is_due:
            self._shown[what] = stride, now
            yield escape_control_chars(what) + self._details(transfer, stride, first=before < 0)

    def _details(self, transfer: Transfer, stride: int, *, first: bool) -> str:
        if transfer.total:
            parts = [f"{stride * _STRIDE} % of {format_bytes(transfer.total)}", transfer.speed]
        else:
            parts = [] if first or transfer.done < _SMALLEST else [transfer.amount, transfer.speed]
        text = ", ".join(filter(None, parts))
        return f": {text}" if text else ""


def is_size(total: int | None) -> TypeGuard[int]:
    """Return whether a total is large enough for a progress bar. Builds count a few steps instead."""
    return total is not None and total >= _SMALLEST


def _marked(name: str, lines: list[str]) -> Iterator[str]:
    mark = f"{_STREAMS[name]} | "
    if "".join(lines).isprintable():  # much faster for long output
        return (mark + line for line in lines)
    return (mark + escape_control_chars(line) for line in lines)


class _GrowingLine:
    """The line without an end of a stream, which is shown when it was not complete for a while."""

    def __init__(self, buffer: LineBuffer) -> None:
        self._buffer = buffer
        self._shown = ""
        self._since: float | None = None

    def due(self, now: float) -> list[str]:
        """Return the line if it has changed, and the last time is a while ago."""
        line = self._buffer.growing
        if not line:
            self._since = None
        elif line == self._shown:
            return []
        elif self._since is None:
            self._since = now
        elif now - self._since >= _GROWING:
            self._since, self._shown = now + _GROWING_AGAIN - _GROWING, line
            return [line]
        return []

    def without_shown(self, lines: list[str]) -> list[str]:
        """Return complete lines, without the first if it was already shown exactly like this."""
        if lines and self._shown:
            lines = lines[1:] if lines[0] == self._shown else lines
            self._shown = ""
        return lines
