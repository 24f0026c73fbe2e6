"""The heartbeat: now and then an event that says what the machine does, and that we are still there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from localrun.errors import LocalrunError
from localrun.server.journal.journal import Journal

if TYPE_CHECKING:
    from localrun.admission import HostSample


class HeartbeatEmitter:
    """Emits `heartbeat` every `interval` seconds, at once when it starts, until it is stopped.

    Also a context manager. The events are volatile: they are in `heartbeat_stats.jsonl`.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        host: Callable[[], HostSample],
        running: Callable[[], int],
        waiting: Callable[[], int],
        interval: float = 30.0,
    ) -> None:
        self._journal = journal
        self._host = host
        self._running = running
        self._waiting = waiting
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="localrun-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin, once."""
        self._thread.start()

    def stop(self) -> None:
        """End at once, and wait until it has. Idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> HeartbeatEmitter:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _beat_on(self) -> None:
        while True:
            self._journal.emit("heartbeat", data=self._facts())
            if self._stop.wait(self._interval):
                return

    def _facts(self) -> dict[str, Any]:
        try:
            return {**_host_facts(self._host()), "running": self._running(), "waiting": self._waiting()}
        except (OSError, LocalrunError) as error:  # a beat that could not look is a beat all the same
            return {"error": str(error)}


def _host_facts(host: HostSample) -> dict[str, Any]:
    return {
        "cpu_percent": host.cpu_percent,
        "memory": {
            "total": host.memory_total,
            "available": host.memory_available,
            "percent": round(host.memory_percent, 1),
        },
        "disks": {point: disk._asdict() for point, disk in host.disks.items()},
    }
