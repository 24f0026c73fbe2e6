"""`--watch`: refresh a text on the terminal until it no longer changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

from localrun.console.display.sanitize import escape_lines
from localrun.console.streams import is_terminal, print_out
from localrun.errors import UsageError

Render = Callable[[], tuple[str, bool]]  # returns the current text, and whether it may still change


def print_or_watch(
    render: Render, watch: float | None, environ: Mapping[str, str], *, as_json: bool = False
) -> None:
    """Print the text once; with `watch`, refresh it on the full screen and print the last one at the end.

    `watch` is in seconds. Raises `UsageError` without a terminal.
    """
    if watch is None:
        print_out(escape_lines(render()[0]))
        return
    if as_json or not is_terminal(sys.stdout, environ):
        raise UsageError("--watch needs a terminal", remedy="omit --watch or --json")
    print_out(escape_lines(_watched(render, watch)))


def _watched(render: Render, every: float) -> str:
    from rich.live import Live
    from rich.text import Text

    from localrun.console.display.terminal import make_console

    with Live(console=make_console(sys.stdout), screen=True, auto_refresh=False) as live:
        while True:
            text, may_change = render()
            if not may_change:
                return text
            live.update(Text(escape_lines(text), no_wrap=True, overflow="crop"), refresh=True)
            time.sleep(every)
