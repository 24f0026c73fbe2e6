"""The standard streams of this process as the user's side of a session: a raw terminal, or pipes."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Literal

from localrun.console.display.sanitize import escape_lines
from localrun.console.streams import print_err

if TYPE_CHECKING:
    from localrun.engines.base import EngineImage
    from localrun.engines.session import ContainerSession
    from localrun.runner.shell import Shell
    from localrun.task.active import ActiveTask

Resize = Callable[[int, int], None]

_IN, _OUT, _ERR = 0, 1, 2
_RESIZED, _ENDED = b"r", b"e"  # what wakes the thread that reads the input
_CHUNK = 65536


def has_terminal() -> bool:
    """Return whether a person can use a shell here."""
    return os.isatty(_IN) and os.isatty(_OUT)


class StandardStreams:
    """Passes the standard streams of this process on. `before_open` ends the display of progress."""

    def __init__(self, before_open: Callable[[], None]) -> None:
        self.kind: Literal["pipe", "terminal"] = "terminal" if has_terminal() else "pipe"
        self._before_open = before_open

    def open(self, task: ActiveTask, image: EngineImage, shell: Shell) -> None:
        self._before_open()
        print_err(escape_lines("\n".join(_lines(task, image, shell))))
        sys.stdout.flush()

    def connect(self, session: ContainerSession, resize: Resize) -> None:
        wake, waker = os.pipe()
        reader = threading.Thread(target=_pass_input, args=(session, wake, resize), name="input")
        try:
            with _raw_terminal(waker) if self.kind == "terminal" else nullcontext():
                os.write(waker, _RESIZED)
                reader.start()
                try:
                    for stream, data in session:
                        _write(_OUT if stream == "stdout" else _ERR, data)
                finally:
                    os.write(waker, _ENDED)
                    reader.join()
        finally:
            os.close(wake)
            os.close(waker)


def _lines(task: ActiveTask, image: EngineImage, shell: Shell) -> Iterator[str]:
    import shlex

    record, plan = task.record, task.record.run_plan
    rights = "writable" if plan.writable_inputs else "read-only"
    yield f"program:  {shlex.join(record.program) or '(the image has none)'}"
    yield f"folder:   {image.workdir or '/'}, as {image.user or 'root'}"
    yield f"inputs:   {plan.input_folder} ({rights})"
    yield f"outputs:  {plan.output_folder} (empty)"
    source = f", which is {shell.mount.source} of this machine" if shell.mount else ""
    yield f"shell:    {' '.join(shell.command)}{source}; `exit` ends it"


def _pass_input(session: ContainerSession, wake: int, resize: Resize) -> None:
    """Send the input to the session until `wake` says that it has ended."""
    sources = [wake, _IN]
    while True:
        ready, _, _ = select.select(sources, (), ())
        if wake in ready:
            signals = os.read(wake, _CHUNK)
            if _ENDED in signals:
                return
            with suppress(OSError):  # not a terminal
                size = os.get_terminal_size(_OUT)
                resize(size.lines, size.columns)
        if _IN in ready:
            data = _read()
            if data:
                session.send(data)
            else:
                sources.remove(_IN)
                session.end_input()


def _read() -> bytes:
    try:
        return os.read(_IN, _CHUNK)
    except OSError:  # the terminal is gone
        return b""


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def _raw_terminal(waker: int) -> Iterator[None]:
    """Pass every key on, Ctrl+C included, and report changes of the terminal's size to `waker`."""
    import termios
    import tty

    saved = termios.tcgetattr(_IN)
    before = signal.signal(signal.SIGWINCH, lambda *_: os.write(waker, _RESIZED))
    try:
        tty.setraw(_IN, termios.TCSADRAIN)  # keeps what was typed before
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
        termios.tcsetattr(_IN, termios.TCSADRAIN, saved)
