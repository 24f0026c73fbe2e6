"""A Docker daemon of one's own, to be ended and started again."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import skip_or_fail


@dataclass
class Daemon:
    """A Docker daemon of its own, on a socket of its own."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """Its address."""
        return f"unix://{self.folder}/docker.sock"

    def start(self, *options: str) -> None:
        """Start it and wait until it answers."""
        binary = shutil.which("dockerd")
        assert binary is not None
        places = [f"--{name}={self.folder}/{name}" for name in ("data-root", "exec-root")]
        # in a network of its own: without a bridge of its own it would remove that of the other engine
        command = ["unshare", "--net", binary, "-H", self.host, *places, f"--pidfile={self.folder}/pid"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--bridge=none", "--iptables=false", "--ip6tables=false", *options],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError((self.folder / "log").read_text()[-3000:])
            time.sleep(0.1)

    def _answers(self) -> bool:
        asked = subprocess.run(["docker", "-H", self.host, "info"], capture_output=True, check=False)
        return asked.returncode == 0

    def stop(self) -> None:
        """End it."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)


@contextmanager
def own_daemon() -> Iterator[Daemon]:
    """A daemon, not started yet; nothing of it stays."""
    if os.geteuid() != 0 or not shutil.which("dockerd") or not shutil.which("docker"):
        skip_or_fail("only root can start an engine of its own (dockerd)")
    folder = Path(f"/tmp/lrd-{secrets.token_hex(3)}")  # short: the path of a socket has 107 bytes at most
    folder.mkdir()
    daemon = Daemon(folder)
    try:
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.stop()
        for place in (*folder.glob("exec-root/netns/*"), folder / "data-root"):
            subprocess.run(["umount", "-R", "-q", str(place)], check=False)
        shutil.rmtree(folder)
