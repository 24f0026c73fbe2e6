"""Standard output and error: closed pipes, narrow encodings, and what is a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


def prepare() -> None:
    """Let any text be written whatever the encoding: what it lacks is shown as `\\xe4`."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell's `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether somebody watches, on a terminal that can move its cursor."""
    return stream.isatty() and environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


def shows_unicode(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether check marks and bars may be drawn.

    Python takes the C locale for UTF-8, and then says so in LC_CTYPE (PEP 538); terminals do not.
    """
    kind = environ.get("LC_CTYPE", "")
    kind = "" if kind in _COERCED else kind
    locale = environ.get("LC_ALL") or kind or environ.get("LANG") or "C"
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return encoding == "utf8" and locale not in ("C", "POSIX")


def write(stream: TextIO, text: str) -> bool:
    """Write and flush; False when nobody reads any more, and then nothing more is tried."""
    try:
        stream.write(text)
        stream.flush()
    except (BrokenPipeError, ValueError):  # ValueError: it was closed
        redirect_to_devnull(stream)
        return False
    return True


class LenientStream:
    """A stream that takes anything: when it can be written no more (its reader is gone, the terminal was
    closed, the disk is full), the text is lost and the program goes on.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self.is_closed = False

    def write(self, text: str) -> int:
        """Write what can be written."""
        if not self.is_closed:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._lose()
        return len(text)

    def flush(self) -> None:
        """Send it on its way."""
        if not self.is_closed:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._lose()

    def _lose(self) -> None:
        self.is_closed = True
        redirect_to_devnull(self._stream)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The number of its file; a terminal's width is asked by it."""
        return self._stream.fileno()


def redirect_to_devnull(stream: TextIO) -> None:
    """Lead a stream whose reader is gone into nothing, so that its last flush at the end fails no more."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)


def print_out(text: str) -> None:
    """A result: one line on standard output."""
    write(sys.stdout, text + "\n")


def print_err(text: str) -> None:
    """What is not a result: one line on standard error."""
    write(sys.stderr, text + "\n")
