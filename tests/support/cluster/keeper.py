"""Keep a site until the process that started it ends, then remove it.

Usage: `python -m tests.support.cluster.keeper FOLDER`. Standard input is a pipe from that process, which is
closed even if the process is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
SITE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def main(folder: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    program = [sys.executable, "-m", "tests.support.cluster.site", str(folder)]
    with (folder / "site.log").open("ab") as log:
        site = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", *SITE, *program], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    sys.stdin.read()
    # the end of the first process of a PID namespace ends all others before it is reported
    for child in Path(f"/proc/{site.pid}/task/{site.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    site.wait()
    for parent in cgroups(folder):
        remove_cgroup(parent)
    shutil.rmtree(folder)


def cgroups(folder: Path) -> list[Path]:
    """Return the control groups of the containers of a site."""
    return [*CGROUPS.glob(f"*/{folder.name}"), *CGROUPS.glob(folder.name)]


def remove_cgroup(folder: Path) -> None:
    """Remove a control group and those below. The kernel needs a moment after the end of its processes."""
    for path in [*sorted(folder.glob("**/"), reverse=True), folder]:
        for _ in range(100):
            try:
                path.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.1)
            else:
                break


if __name__ == "__main__":
    main(Path(sys.argv[1]))
