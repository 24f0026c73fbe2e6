"""The progress of long operations without a task, such as building, saving and packing an image."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from localrun.console.streams import is_terminal, print_err, shows_unicode
from localrun.engines.base import Progress, no_progress


@contextmanager
def show_operations(environ: Mapping[str, str], *, quiet: bool = False) -> Iterator[Progress]:
    """Show operations on standard error: as a live line on a terminal, else as lines."""
    if quiet:
        yield no_progress
    elif is_terminal(sys.stderr, environ):
        with _live(unicode=shows_unicode(sys.stderr, environ)) as progress:
            yield progress
    else:
        from localrun.console.display.plain import ProgressLines

        lines = ProgressLines()

        def update(what: str, done: int, total: int | None) -> None:
            for line in lines.update(what, done, total):
                print_err(line)

        yield update


@contextmanager
def _live(*, unicode: bool) -> Iterator[Progress]:
    from rich.live import Live

    from localrun.console.display.terminal import REFRESHES, Phase, make_console

    phase = Phase("dots" if unicode else "line")
    with Live(phase, console=make_console(sys.stderr), transient=True, refresh_per_second=REFRESHES):
        yield phase.show_progress
