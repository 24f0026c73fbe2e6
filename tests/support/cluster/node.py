"""The first processes of a node, in namespaces of its own.

A node sees the files of this machine, but neither /tmp nor /run, and has its own Docker engine.
Usage: `python -m tests.support.cluster.node NAME FOLDER`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.machines import view
from tests.support.machines.start import start_docker
from tests.support.machines.users import User


def main(name: str, place: str) -> int:
    site = Path(place)
    folder = site / name
    socket.sethostname(name)
    for path, mode in (("/run", "755"), ("/tmp", "1777")):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", path], check=True)
    start_docker(folder, User((), folder, Path("/run")), "--cgroup-parent", f"/{site.name}/{name}")
    (folder / "ready").touch()
    return os.waitstatus_to_exitcode(os.wait()[1])


if __name__ == "__main__":
    if os.getpid() == 1:
        sys.exit(view.init([sys.executable, "-m", "tests.support.cluster.node", *sys.argv[1:]]))
    sys.exit(main(*sys.argv[1:]))
