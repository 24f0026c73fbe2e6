"""What a person sees after Ctrl+C during a wait: one line instead of a traceback."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from localrun import settings
from localrun.errors import LocalrunError

_previous: Callable[..., Any] = sys.__excepthook__


@contextmanager
def explained(line: Callable[[], str]) -> Iterator[None]:
    """Add a line to a `KeyboardInterrupt`, which replaces its traceback if it ends the script."""
    try:
        yield
    except KeyboardInterrupt as error:
        explain(error, line())
        raise


def explain(error: BaseException, line: str) -> None:
    """Replace the note of a `KeyboardInterrupt`. Has no effect on another exception."""
    global _previous
    if not isinstance(error, KeyboardInterrupt):
        return
    error.__notes__ = [line]
    if sys.excepthook is not _print_notes:
        _previous, sys.excepthook = sys.excepthook, _print_notes


def _print_notes(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    notes = getattr(error, "__notes__", [])
    if not issubclass(kind, KeyboardInterrupt) or not notes:
        _previous(kind, error, traceback)
        return
    start = "\n" if sys.stderr.isatty() else ""  # after the ^C of the terminal
    sys.stderr.write(f"{start}{kind.__name__}: {' '.join(notes)}\n")  # the last line of a traceback


def command(home: os.PathLike[str], *words: str) -> str:
    """Return a `localrun` command, with --home if it would use another folder otherwise."""
    try:
        is_default = settings.load(os.environ).home.absolute() == Path(home).absolute()
    except LocalrunError:
        is_default = False
    return shlex.join(["localrun", *([] if is_default else ["--home", os.fspath(home)]), *words])
