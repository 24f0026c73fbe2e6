"""The command as a process on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class TerminalProcess:
    """`python -m localrun` on a terminal; `shown` is all output so far."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.shown = ""
        self._master = master

    def until(self, words: str) -> str:
        """Read until `words` appear. Return all output. Fails if the process ends before."""
        while words not in self.shown:
            assert self._read(), f"it ended without showing {words!r}: {self.shown}"
        return self.shown

    def type(self, keys: bytes) -> None:
        """Type keys at the terminal."""
        os.write(self._master, keys)

    def wait(self) -> int:
        """Read to the end. Return the exit code."""
        while self._read():
            pass
        return self.process.wait(120)

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # raised if the other side is closed
            return False
        self.shown += data.decode("utf-8", "replace")
        return bool(data)


@contextmanager
def on_terminal(
    *arguments: object, cwd: Path, env: Mapping[str, str] | None = None
) -> Iterator[TerminalProcess]:
    """Start the command; it is killed at the end of the context."""
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
