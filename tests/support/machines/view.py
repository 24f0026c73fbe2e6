"""A private view of this machine: its own processes, mounts and network, and packages that are not installed.

Whatever is started in the view ends with it, and no file outside of its folder and of the project changes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def init(command: Sequence[str]) -> int:
    """Run a command as the first process of a view, which also has to reap orphans. Return its exit code."""
    process = subprocess.Popen(command)
    while True:
        pid, status = os.wait()
        if pid == process.pid:
            return os.waitstatus_to_exitcode(status)


def prepare(folder: Path, packages: Sequence[Path]) -> None:
    """Lay unpacked packages over the machine's own, hide its engines, and connect to nothing but itself.

    `folder` holds what is written to /etc and /usr.
    """
    for name in ("etc", "usr"):
        _lay_over(Path("/", name), folder, [path / name for path in packages if (path / name).is_dir()])
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # the address of this machine for containers of rootless engines, which translate addresses
    subprocess.run(["ip", "link", "add", "host0", "type", "veth", "peer", "name", "host1"], check=True)
    subprocess.run(["ip", "addr", "add", "192.0.2.1/24", "dev", "host0"], check=True)
    for name in ("host0", "host1"):
        subprocess.run(["ip", "link", "set", name, "up"], check=True)


def open_path(path: Path, folder: Path) -> None:
    """Make a path below closed folders accessible to every user: nothing else remains in the outermost."""
    closed = [parent for parent in path.parents if not parent.stat().st_mode & 0o001]
    if not closed:
        return
    kept = folder / "kept"
    kept.mkdir()
    _mount("--bind", str(path), str(kept))
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(closed[-1]))
    path.mkdir(parents=True)
    _mount("--bind", str(kept), str(path))


def _lay_over(place: Path, folder: Path, layers: Sequence[Path]) -> None:
    upper, work = folder / f"{place.name}.upper", folder / f"{place.name}.work"
    upper.mkdir()
    work.mkdir()
    lower = ":".join(str(layer) for layer in (*layers, place))
    _mount("-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "overlay", str(place))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
