"""The limits of the memory of this process, e.g. of the shell that started it."""

from __future__ import annotations

import resource

from localrun.errors import Cause, LocalrunError
from localrun.units import format_bytes

# Each thread reserves 8 MiB for its stack and up to 64 MiB for its memory, and a task needs several threads.
_LEAST_MEMORY = (("-v", resource.RLIMIT_AS, 1 << 30), ("-d", resource.RLIMIT_DATA, 256 << 20))  # of `ulimit`


def check_memory_limits() -> None:
    """Raise `LocalrunError` if threads may get no memory.

    Python waits without end for a thread that fails for lack of memory before its first line.
    """
    for option, limit, least in _LEAST_MEMORY:
        size, _ = resource.getrlimit(limit)
        if size != resource.RLIM_INFINITY and size < least:
            raise LocalrunError(
                f"the memory of this process is limited to {format_bytes(size)} (`ulimit {option}`);"
                f" localrun needs {format_bytes(least)}",
                remedy=f"raise the limit with `ulimit {option} unlimited`, and run it again",
                cause=Cause.MEMORY_UNAVAILABLE,
            )
