"""Standard output and error: closed pipes, narrow encodings and terminal detection."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

from localrun import fs, undecodable
from localrun.errors import Cause, LocalrunError

_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


def prepare() -> None:
    """Make stdout and stderr accept any text: unencodable characters are written as `\\xe4`.

    A stream that the shell has closed is like `/dev/null`.
    """
    if sys.stdin is None:  # the shell's `<&-`
        sys.stdin = io.TextIOWrapper(io.BytesIO())
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell's `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


def shows_unicode(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether check marks and bars can be drawn.

    Python coerces the C locale to UTF-8 and sets LC_CTYPE (PEP 538); terminals do not.
    """
    kind = environ.get("LC_CTYPE", "")
    kind = "" if kind in _COERCED else kind
    locale = environ.get("LC_ALL") or kind or environ.get("LANG") or "C"
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return encoding == "utf8" and locale not in ("C", "POSIX")


def write(stream: TextIO, text: str) -> bool:
    """Write and flush. Return False, and discard all further output, if the reader is gone.

    Raises `LocalrunError` if the output cannot be written, such as on a full disk.
    """
    try:
        stream.write(undecodable.escape(text))
        stream.flush()
    except (BrokenPipeError, ValueError):  # ValueError: the stream is closed
        redirect_to_devnull(stream)
        return False
    except OSError as error:
        redirect_to_devnull(stream)
        raise output_error(error) from error
    return True


def output_error(error: OSError) -> LocalrunError:
    """Return the error for standard output that cannot be written."""
    return LocalrunError(
        f"cannot write to standard output: {error.strerror or error}",
        remedy="free disk space, or redirect the output elsewhere",
        cause=Cause.DISK_FULL if fs.is_disk_full(error) else Cause.INTERNAL,
    )


def finish() -> None:
    """Write what is buffered, so that the interpreter finds nothing to write when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            redirect_to_devnull(stream)


class LenientStream:
    """A stream whose writes never fail.

    Text is discarded once the stream is unwritable: its reader is gone, the terminal was closed or the disk
    is full.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self.is_closed = False

    def write(self, text: str) -> int:
        """Write `text`, or discard it if the stream is unwritable."""
        if not self.is_closed:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._close()
        return len(text)

    def flush(self) -> None:
        if not self.is_closed:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._close()

    def _close(self) -> None:
        self.is_closed = True
        redirect_to_devnull(self._stream)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor, which `rich` uses to query the terminal's width."""
        return self._stream.fileno()


def redirect_to_devnull(stream: TextIO) -> None:
    """Redirect a stream whose reader is gone to /dev/null, so the flush at exit does not fail."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, descriptor)
    os.close(devnull)


def print_out(text: str) -> None:
    """Print a line of results to standard output."""
    write(sys.stdout, text + "\n")


def print_err(text: str) -> None:
    """Print a line that is not a result to standard error; discard it if that is not possible."""
    with suppress(LocalrunError):
        write(sys.stderr, text + "\n")


def format_json(value: Any) -> str:
    """Return a value as one line of ASCII JSON that every parser accepts; see `undecodable`."""
    import json

    text = json.dumps(value, allow_nan=False)
    return json.dumps(undecodable.escape_all(json.loads(text))) if "\\ud" in text else text


_printed_json = False


def forget_json() -> None:
    """Note that a command begins, which has printed no JSON yet."""
    global _printed_json  # noqa: PLW0603
    _printed_json = False


def printed_json() -> bool:
    """Return whether the command has printed its JSON: a failure must not print a second document."""
    return _printed_json


def print_json(value: Any) -> None:
    """Print a result as one line of ASCII JSON, which is complete in any encoding."""
    global _printed_json  # noqa: PLW0603
    _printed_json = True
    print_out(format_json(value))
