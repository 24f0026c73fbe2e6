"""`--watch`: a text shown anew, until it will not change any more."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from localrun.console.display.sanitize import escape_lines
from localrun.console.streams import is_terminal, print_out
from localrun.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

Render = Callable[[], tuple[str, bool]]  # the text as it is now, and whether it will be another one


def print_or_watch(
    look: Render, watch: float | None, environ: Mapping[str, str], *, as_json: bool = False
) -> None:
    """Print the text once; with `watch` show it every so many seconds, and print the last.

    Meanwhile it has the whole screen. Raises `UsageError` where there is none.
    """
    if watch is None:
        print_out(escape_lines(look()[0]))
        return
    if as_json or not is_terminal(sys.stdout, environ):
        raise UsageError("--watch needs a terminal", remedy="leave it out, or leave --json out")
    print_out(escape_lines(_watched(look, watch)))


def _watched(look: Render, every: float) -> str:
    from rich.live import Live

    from localrun.console.display.terminal import make_console

    with Live(console=make_console(sys.stdout), screen=True, auto_refresh=False) as live:
        while True:
            text, goes_on = look()
            if not goes_on:
                return text
            live.update(_page(text), refresh=True)
            time.sleep(every)


def _page(text: str) -> RenderableType:
    from rich.text import Text

    return Text(escape_lines(text), no_wrap=True, overflow="crop")
