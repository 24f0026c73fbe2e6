"""Process identity: which process owns a task, and whether it is alive.

A pid identifies a process only on one machine, during one boot, in one pid namespace, and together with
the start time of the process. The start time is counted from boot in the kernel's ticks. Unlike a wall
clock it never shifts, so that two readings for the same process are equal.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from localrun.task.record import ProcessId

_PROC = Path("/proc")
_ENDED = frozenset("ZXx")  # zombies keep their pid until their parent reaps them
_LARGEST_PID = 2**31 - 1


def current_process() -> ProcessId:
    """Return the identity of this process. Cached per pid, since a fork is another process."""
    return _owner(os.getpid())


def is_alive(owner: ProcessId) -> bool:
    """Whether the process is alive.

    A process of another machine or container is not visible. It is assumed to be alive, since resuming its
    task would run the task twice. A process from before the last boot of this machine is not alive.
    """
    mine = current_process()
    if owner.host != mine.host and owner.boot != mine.boot:
        return True
    if owner.boot.partition("/")[0] != mine.boot.partition("/")[0]:
        return False
    if owner.boot != mine.boot:
        return True
    return _runs(owner.pid, owner.started)


def is_stopped(owner: ProcessId) -> bool:
    """Return whether the process is suspended (SIGSTOP, Ctrl+Z); False if it is not visible here."""
    if is_foreign(owner):
        return False
    found = _stat(owner.pid)
    return found is not None and found == (owner.started, "T")


def is_of_earlier_boot(owner: ProcessId) -> bool:
    """Return whether the process ran on this machine before its last boot."""
    mine = current_process()
    return owner.host == mine.host and owner.boot.partition("/")[0] != mine.boot.partition("/")[0]


def is_foreign(owner: ProcessId) -> bool:
    """Whether the process is of another machine or container, so that `is_alive` is an assumption."""
    return owner.boot != current_process().boot


@lru_cache(maxsize=4)
def _owner(pid: int) -> ProcessId:
    started, _ = _stat(pid) or (0.0, "")
    return ProcessId(host=os.uname().nodename, pid=pid, started=started, boot=_boot())


def _boot() -> str:
    """Return the boot id and the pid namespace, within which a pid is unique."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:  # no /proc: only the pid is compared
        return ""


def _runs(pid: int, started: float) -> bool:
    if not 0 < pid <= _LARGEST_PID:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it exists and belongs to another user; /proc may hide it
    found = _stat(pid)
    return found is None or (found[0] == started and found[1] not in _ENDED)


def _stat(pid: int) -> tuple[float, str] | None:
    """Return the start time in seconds since boot and the state letter; None if not visible."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return int(fields[19]) / os.sysconf("SC_CLK_TCK"), fields[0]
