"""A separate Docker daemon that tests can stop and restart."""

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
    """A separate Docker daemon with its own socket."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """The address of the daemon."""
        return f"unix://{self.folder}/docker.sock"

    def start(self, *options: str, bridge: bool = False) -> None:
        """Start the daemon and wait until it answers. It has a network only with `bridge`."""
        binary = shutil.which("dockerd")
        assert binary is not None
        places = [f"--{name}={self.folder}/{name}" for name in ("data-root", "exec-root")]
        # in a separate network namespace, so it does not remove the bridge of the other engine
        command = ["unshare", "--net", binary, "-H", self.host, *places, f"--pidfile={self.folder}/pid"]
        with (self.folder / "log").open("ab") as log:
            network = ["--iptables=false", "--ip6tables=false", *([] if bridge else ["--bridge=none"])]
            self.process = subprocess.Popen(
                [*command, *network, *options],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 180
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError((self.folder / "log").read_text()[-3000:])
            time.sleep(0.1)

    def _answers(self) -> bool:
        asked = subprocess.run(["docker", "-H", self.host, "info"], capture_output=True, check=False)
        return asked.returncode == 0

    def stop(self) -> None:
        """Stop the daemon."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(120)


@contextmanager
def own_daemon() -> Iterator[Daemon]:
    """A daemon that is not started yet, removed completely at the end."""
    if os.geteuid() != 0 or not shutil.which("dockerd") or not shutil.which("docker"):
        skip_or_fail("only root can start a separate engine (dockerd)")
    folder = Path(f"/tmp/lrd-{secrets.token_hex(3)}")  # short: a socket path has at most 107 bytes
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
