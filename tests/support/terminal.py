"""The command on a terminal of its own, as a process."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class TerminalProcess:
    """`python -m localrun`, whose output goes to a terminal; `shown` is all that was written to it."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.shown = ""
        self._master = master

    def until(self, words: str) -> str:
        """Read on up to these words; all that was shown. Fails when it ends without them."""
        while words not in self.shown:
            assert self._read(), f"it ended without showing {words!r}: {self.shown}"
        return self.shown

    def type(self, keys: bytes) -> None:
        """What somebody at the terminal types."""
        os.write(self._master, keys)

    def wait(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(30)

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # how a terminal says that the other side is gone
            return False
        self.shown += data.decode("utf-8", "replace")
        return bool(data)


@contextmanager
def on_terminal(
    *arguments: object, cwd: Path, env: Mapping[str, str] | None = None
) -> Iterator[TerminalProcess]:
    """Start it; it is ended with the context."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "localrun", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40", **(env or {})},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        yield TerminalProcess(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
