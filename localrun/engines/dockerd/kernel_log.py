"""Containers whose memory limit made the kernel kill a process, from the kernel's log.

Docker 20.10 learns of it by an event that is late or lost while the machine is busy: the container then seems
to have been killed by another process. Only root can read the log where `kernel.dmesg_restrict` is set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_LOG = Path("/dev/kmsg")
_COUNTERS = Path("/proc/vmstat")
_RECORD_SIZE = 8192  # bytes; the kernel refuses to read a record in parts
# oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/docker/ID,task_memcg=/docker/ID,task=sh,pid=1,uid=0
_KILL = re.compile(rb"oom-kill:constraint=CONSTRAINT_MEMCG,.*?oom_memcg=([^,\n]*)")


class MemoryKills:
    """The processes that the kernel has killed for lack of memory, compared with the start of a container.

    The log is only read if the kernel has killed one since then: on a machine where it ever did, reading the
    log takes as long as writing the record of a task ten times.
    """

    def __init__(self) -> None:
        self._before: dict[str, int] = {}  # container -> number of kills before its start

    def note_start(self, container: str) -> None:
        """Remember that this process is about to start a container."""
        self._before[container] = _count()

    def forget(self, container: str) -> None:
        self._before.pop(container, None)

    def include(self, container: str) -> bool:
        """Return whether the limit of this container made the kernel kill a process; False if unknown."""
        if _count() == self._before.get(container, 0):
            return False
        try:
            return any(container.encode() in group for group in _full_groups())
        except OSError:
            return False


def _count() -> int:
    """Return how many processes the kernel has killed for lack of memory since the boot; 0 if unknown."""
    try:
        _, name, rest = (b"\n" + _COUNTERS.read_bytes()).partition(b"\noom_kill ")
        return int(rest.split(b"\n", 1)[0]) if name else 0
    except (OSError, ValueError):
        return 0


def _full_groups() -> Iterator[bytes]:
    """Yield the control groups whose limit was exceeded."""
    log = os.open(_LOG, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                found = _KILL.search(os.read(log, _RECORD_SIZE))
            except BlockingIOError:  # the end
                return
            except BrokenPipeError:  # newer records have replaced the next one
                continue
            if found:
                yield found[1]
    finally:
        os.close(log)
