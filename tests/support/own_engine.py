"""Run pytest with a separate Docker daemon as its engine: `python -m tests.support.own_engine ARGUMENT...`.

The daemon is the first `dockerd` of PATH, e.g. a newer one unpacked by `.ci/unpack`.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.docker_daemon import own_daemon


def main(arguments: list[str]) -> int:
    with own_daemon() as daemon:
        daemon.start(bridge=True)
        environ = os.environ | {"DOCKER_HOST": daemon.host}
        subprocess.run(["docker", "version"], env=environ, check=True)
        command = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.run(command, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
