"""The test session's end of the pipe to the reaper process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


class ReaperClient:
    """Starts the reaper process and sends it the folders to clean up if this process dies."""

    def __init__(self) -> None:
        # -P: do not import a folder `localrun` of the project
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "localrun.pytest_plugin.reaper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # not interrupted by Ctrl+C
            text=True,
        )
        self._pid = os.getpid()

    def watch(self, home: Path, docker_host: str | None) -> None:
        """Stop the tasks of a folder if this process dies."""
        self._send({"home": str(home), "docker_host": docker_host, "forget": False})

    def forget(self, home: Path) -> None:
        """Stop watching a folder that has been cleaned up."""
        self._send({"home": str(home), "forget": True})

    def _send(self, message: dict[str, object]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # the reaper was killed; tests run without it
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def close(self) -> None:
        if os.getpid() == self._pid:
            assert self._process.stdin is not None
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
