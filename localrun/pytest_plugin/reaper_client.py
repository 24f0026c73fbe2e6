"""The session's end of the pipe to `guard`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


class ReaperClient:
    """Tells a process of its own which folders are to be cleared up, should this process die."""

    def __init__(self) -> None:
        # -P: a folder of the project called localrun is not the package
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "localrun.pytest_plugin.reaper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl+C is not for it
            text=True,
        )
        self._pid = os.getpid()

    def watch(self, home: Path, docker_host: str | None) -> None:
        """Have the tasks of a folder stopped when this process dies."""
        self._tell({"home": str(home), "docker_host": docker_host, "forget": False})

    def forget(self, home: Path) -> None:
        """The folder has been cleared up."""
        self._tell({"home": str(home), "forget": True})

    def _tell(self, told: dict[str, object]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # somebody ended it: tests go on without
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Let it end."""
        if os.getpid() == self._pid:
            assert self._process.stdin is not None
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
