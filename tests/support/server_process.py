"""`python main.py` as a separate process in a separate folder."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.session import inherited_environment

ROOT = Path(__file__).parents[2]
_ADDRESS = re.compile(r"http://(127\.0\.0\.1|0\.0\.0\.0):(\d+)")


class ServerProcess:
    """A running server, its address, and its output until it was ready."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, printed: list[str], port: int) -> None:
        self.process = process
        self.folder = folder
        self.printed = printed
        self.port = port

    @property
    def address(self) -> str:
        """The URL of the server."""
        return f"http://localhost:{self.port}"

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the guide in the server's folder with the server's port."""
        return subprocess.run(
            ["bash", "-c", command.replace("http://localhost:8000", self.address)],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def python(self, program: str) -> str:
        """Run a script of the guide. Return its output."""
        found = subprocess.run(
            [sys.executable, "-c", program.replace("http://localhost:8000", self.address)],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the server. Return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(120)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment with this Python first in PATH and without settings."""
    kept = inherited_environment()
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **(more or {})}


@contextmanager
def serving(folder: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """Run a server in `folder`, stopped at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), "--port", "0", *options],
        cwd=folder,
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None
    try:
        printed: list[str] = []
        found = None
        while found is None:
            line = process.stdout.readline()
            assert line, "".join(printed)
            printed.append(line)
            found = _ADDRESS.search(line)
        yield ServerProcess(process, folder, printed, int(found[2]))
    finally:
        process.terminate()
        process.wait(120)
        process.stdout.close()
