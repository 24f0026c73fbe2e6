"""Evidence that the kernel killed a process because the memory of this machine was full."""

from __future__ import annotations

from pathlib import Path

from localrun.admission import HostSample

_VMSTAT = Path("/proc/vmstat")
_NEARLY_FULL = 90.0  # percent of the memory


class HostMemory:
    """Watches the memory of this machine while a container runs.

    The kernel counts the processes that it killed for lack of memory, also those that exceeded the limit of
    another container. So the count is evidence only if the memory of the machine was nearly full.
    """

    def __init__(self) -> None:
        self._before = _killed_processes()
        self._was_full = False

    def on_sample(self, host: HostSample) -> None:
        """Note whether the memory is nearly full; call it a few times a second."""
        self._was_full = self._was_full or host.memory_percent >= _NEARLY_FULL

    def has_killed(self) -> bool:
        """Return whether the kernel killed a process while the memory was nearly full."""
        return self._was_full and _killed_processes() > self._before


def _killed_processes() -> int:
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
