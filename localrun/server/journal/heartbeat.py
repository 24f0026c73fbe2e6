"""The heartbeat: a periodic event with the usage of the machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from localrun.errors import LocalrunError
from localrun.server.journal.journal import Journal

if TYPE_CHECKING:
    from localrun.admission import HostSample


class HeartbeatEmitter:
    """Emits `heartbeat` on start and then every `interval` seconds until it is stopped.

    Can be used as a context manager. The events are volatile (`heartbeat_stats.jsonl`).
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
        self._thread = threading.Thread(target=self._run, name="localrun-heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for it. Idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> HeartbeatEmitter:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        while True:
            self._journal.emit("heartbeat", data=self._data())
            if self._stop.wait(self._interval):
                return

    def _data(self) -> dict[str, Any]:
        try:
            return {**_host_data(self._host()), "running": self._running(), "waiting": self._waiting()}
        except (OSError, LocalrunError) as error:  # still a sign of life
            return {"error": str(error)}


def _host_data(host: HostSample) -> dict[str, Any]:
    return {
        "cpu_percent": host.cpu_percent,
        "memory": {
            "total": host.memory_total,
            "available": host.memory_available,
            "percent": round(host.memory_percent, 1),
        },
        "disks": {point: disk._asdict() for point, disk in host.disks.items()},
    }
