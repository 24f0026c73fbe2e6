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


def is_oom_killed(container: str) -> bool:
    """Return whether the limit of this container made the kernel kill a process; False if unknown."""
    try:
        return _has_killed() and any(container.encode() in group for group in _full_groups())
    except OSError:
        return False


def _has_killed() -> bool:
    """Return whether the kernel has killed any process for lack of memory, which is rare."""
    return re.search(r"^oom_kill [1-9]", _COUNTERS.read_text(), re.MULTILINE) is not None


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
