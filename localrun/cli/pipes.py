"""Files of the command line that may be pipes, such as `/dev/stdin`."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_err

_PATIENCE = 1.0  # seconds


@contextmanager
def notice_of_pipe(path: Path) -> Iterator[None]:
    """Say what is waited for if reading anything but a regular file takes more than a second."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        is_file = True  # reading it reports the error
    if is_file:
        yield
        return
    text = f"waiting for data from {escape_control_chars(str(path))} (press Ctrl+C to stop)"
    timer = threading.Timer(_PATIENCE, print_err, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
