"""Resource usage from a container's control group, if the engine runs on this machine.

Reading it needs no request and takes no second, unlike the engine's statistics, so short tasks are measured.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from localrun.engines.base import Handle, Usage

ROOT, PROC = Path("/sys/fs/cgroup"), Path("/proc")
_USER = "user.slice/user-{uid}.slice/user@{uid}.service/user.slice"
# where Docker and Podman put containers, with their own driver and with systemd's, rootless ones last
_PLACES = (
    "docker/{id}",
    "system.slice/docker-{id}.scope",
    "libpod_parent/libpod-{id}",
    "machine.slice/libpod-{id}.scope",
    _USER + "/docker-{id}.scope",
    _USER + "/libpod-{id}.scope",
)
_QUESTIONS = 3  # containers whose process is looked up if they are at none of these places


class ControlGroups:
    """Reads the control groups of the engine's containers.

    `find_pid` returns the pid of a container's first process, 0 if it has none. It is only called if the
    container is at none of the usual places. `root` and `proc` are where the kernel's files are mounted.
    """

    def __init__(self, find_pid: Callable[[Handle], int], root: Path = ROOT, proc: Path = PROC) -> None:
        self._find_pid = find_pid
        self._root = root
        self._proc = proc
        self._places = [place.replace("{uid}", str(os.getuid())) for place in _PLACES]
        self._questions = _QUESTIONS

    def measure(self, handle: Handle) -> Usage | None:
        """Return the current usage of a container; None if it is not running, or not visible here."""
        for place in self._places:
            usage = self._read(place.replace("{id}", handle))
            if usage is not None:
                self._places = [place]
                return usage
        if len(self._places) == 1 or not self._questions:
            return None
        self._questions -= 1
        found = self._locate(handle)
        return None if found is None else self._read(found)

    def _locate(self, handle: Handle) -> str | None:
        """Return the control group of a container by its process, and look there first from now on."""
        pid = self._find_pid(handle)
        try:
            lines = (self._proc / str(pid) / "cgroup").read_text().splitlines() if pid else []
        except OSError:
            return None
        for line in lines:
            _, controllers, path = line.split(":", 2)
            # without the id it is the process of another machine, or not in a group of its own
            if handle in path and controllers in ("", "memory"):
                base = re.sub(rf"({handle}[^/]*)/.*", r"\1", path).lstrip("/")
                self._places.insert(0, base.replace(handle, "{id}"))
                return base
        return None

    def _read(self, place: str) -> Usage | None:
        try:
            if (self._root / "memory" / place).is_dir():
                return self._read_v1(place)
            return self._read_v2(self._root / place)
        except (OSError, ValueError, LookupError):  # it has ended
            return None

    def _read_v1(self, place: str) -> Usage:
        memory = self._root / "memory" / place
        return _usage(
            used=_number(memory / "memory.usage_in_bytes"),
            cache=_fields(memory / "memory.stat")["total_inactive_file"],
            peak=_number(memory / "memory.max_usage_in_bytes"),
            cpu_seconds=_number(self._root / "cpuacct" / place / "cpuacct.usage") / 1e9,
            moved=_moved_v1(self._root / "blkio" / place / "blkio.throttle.io_service_bytes_recursive"),
            pids=_number(self._root / "pids" / place / "pids.current"),
        )

    def _read_v2(self, folder: Path) -> Usage:
        peak = folder / "memory.peak"  # since Linux 5.19
        return _usage(
            used=_number(folder / "memory.current"),
            cache=_fields(folder / "memory.stat")["inactive_file"],
            peak=_number(peak) if peak.exists() else None,
            cpu_seconds=_fields(folder / "cpu.stat")["usage_usec"] / 1e6,
            moved=_moved_v2(folder / "io.stat"),
            pids=_number(folder / "pids.current"),
        )


def _usage(
    *, used: int, cache: int, peak: int | None, cpu_seconds: float, moved: tuple[int, int], pids: int
) -> Usage:
    return Usage(
        cpu_seconds=cpu_seconds,
        memory=max(0, used - cache),
        memory_peak=peak,
        read_bytes=moved[0],
        written_bytes=moved[1],
        pids=pids,
    )


def _number(path: Path) -> int:
    return int(path.read_bytes())


def _fields(path: Path) -> dict[str, int]:
    """Return the lines `NAME NUMBER` of a file."""
    words = path.read_text().split()
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=True)}


def _moved_v1(path: Path) -> tuple[int, int]:
    """Return the bytes read and written; 0 without this controller."""
    try:
        text = path.read_text()
    except OSError:
        return 0, 0
    found = [sum(map(int, re.findall(rf" {word} (\d+)", text))) for word in ("Read", "Write")]
    return found[0], found[1]


def _moved_v2(path: Path) -> tuple[int, int]:
    try:
        text = path.read_text()
    except OSError:  # the controller is not enabled for this group
        return 0, 0
    found = [sum(map(int, re.findall(rf"{word}=(\d+)", text))) for word in ("rbytes", "wbytes")]
    return found[0], found[1]
