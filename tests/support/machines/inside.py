"""Run a command on an engine in a view: `... -m tests.support.machines.inside KIND FOLDER PACKAGES CMD...`.

PACKAGES are folders with unpacked packages, separated by colons.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.machines import users, view
from tests.support.machines.kinds import KINDS


def main(name: str, place: str, packages: str, *command: str) -> int:
    kind, folder = KINDS[name], Path(place)
    view.prepare(folder, [Path(path) for path in packages.split(":") if path])
    user = users.ordinary(folder) if kind.rootless else users.root(folder)
    if kind.rootless:
        view.open_path(Path(sys.base_prefix), folder)
    host = kind.start(folder, user)
    environ = os.environ | user.environment() | {"DOCKER_HOST": host, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(["docker", "load", "-q", "-i", str(folder / "base.tar")], env=environ, check=True)
    return subprocess.run([*user.prefix, *command], env=environ, check=False).returncode


if __name__ == "__main__":
    if os.getpid() == 1:
        sys.exit(view.init([sys.executable, "-m", "tests.support.machines.inside", *sys.argv[1:]]))
    sys.exit(main(*sys.argv[1:]))
