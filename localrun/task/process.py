"""Which process carries a task, and whether it still lives.

A pid names a process only on one machine, since one boot, in one pid namespace, and together with the
process's start time. The start time is counted from the boot in the kernel's own ticks: unlike a wall
clock it never shifts, so two looks at the same process are equal to the last bit.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from localrun.task.record import ProcessId

_PROC = Path("/proc")
_ENDED = frozenset("ZXx")  # zombies keep their pid until their parent looks; they carry nothing any more
_LARGEST_PID = 2**31 - 1


def current_process() -> ProcessId:
    """The owner that this process is. Cheap: found out once per process (a fork is another one)."""
    return _owner(os.getpid())


def is_alive(owner: ProcessId) -> bool:
    """Whether the process still runs.

    A process of another machine or of another container cannot be looked at: it is assumed to live,
    because taking its task over would run the task twice. After a reboot of this machine it is gone.
    """
    mine = current_process()
    if owner.host != mine.host and owner.boot != mine.boot:
        return True
    if owner.boot.partition("/")[0] != mine.boot.partition("/")[0]:
        return False
    if owner.boot != mine.boot:
        return True
    return _runs(owner.pid, owner.started)


def is_foreign(owner: ProcessId) -> bool:
    """Whether `is_alive` can only assume: the process is of another machine or container."""
    return owner.boot != current_process().boot


@lru_cache(maxsize=4)
def _owner(pid: int) -> ProcessId:
    started, _ = _stat(pid) or (0.0, "")
    return ProcessId(host=os.uname().nodename, pid=pid, started=started, boot=_boot())


def _boot() -> str:
    """Boot and pid namespace: where and since when pids mean what they mean here."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:  # no /proc: pids alone must do
        return ""


def _runs(pid: int, started: float) -> bool:
    if not 0 < pid <= _LARGEST_PID:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, and another user's; /proc may hide it
    found = _stat(pid)
    return found is None or (found[0] == started and found[1] not in _ENDED)


def _stat(pid: int) -> tuple[float, str] | None:
    """Start in seconds since the boot, and the state's letter; None when it cannot be seen."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return int(fields[19]) / os.sysconf("SC_CLK_TCK"), fields[0]
