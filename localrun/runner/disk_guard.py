"""The disk while tasks run: the task that fills it is stopped before the machine is full.

A full disk tells nobody that it fills, so it is looked at a few times a second, as long as a task runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from localrun.admission import HostSample, sample_host
from localrun.units import format_bytes

_EVERY = 0.2  # seconds


class MonitoredTask(msgspec.Struct, frozen=True):
    """A running task: how many bytes it has written, and how to stop it, told why.

    `beat` is called at every look: who has to do something later needs no thread for it before.
    """

    size: Callable[[], int]
    stop: Callable[[str], None]
    on_tick: Callable[[], None] = lambda: None


class DiskMonitor:
    """Watches the file systems of some folders while at least one task runs. Thread-safe.

    Beyond `limit` percent, the running task that has written most since it was watched is stopped.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        limit: float,
        *,
        sample_host: Callable[[Sequence[Path]], HostSample] = sample_host,
        interval: float = _EVERY,
    ) -> None:
        self._folders = folders
        self._limit = limit
        self._look = sample_host
        self._every = interval
        self._lock = threading.Lock()
        self._watched: dict[str, MonitoredTask] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def monitor(self, task_id: str, watched: MonitoredTask) -> Iterator[None]:
        """Watch a task for as long as the context lasts."""
        with self._lock:
            self._watched[task_id] = watched
            if self._thread is None:
                self._wake = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._wake,), name="disk-watch", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            self._leave(task_id)

    def _leave(self, task_id: str) -> None:
        with self._lock:
            self._watched.pop(task_id, None)
            thread = None
            if not self._watched:
                thread, self._thread = self._thread, None
                self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self, wake: threading.Event) -> None:
        while not wake.wait(self._every):
            with self._lock:
                running = list(self._watched.values())
            for watched in running:
                watched.on_tick()
            full = self._full()
            if full:
                self._relieve(full)

    def _full(self) -> str:
        for point, disk in self._look(self._folders).disks.items():
            if disk.percent >= self._limit:
                return f"{point} is {disk.percent:.0f} % full, limit {self._limit:g} %"
        return ""

    def _relieve(self, full: str) -> None:
        with self._lock:
            running = dict(self._watched)
        sizes = {task_id: watched.size() for task_id, watched in running.items()}
        if not sizes:
            return
        largest = max(sizes, key=lambda task_id: sizes[task_id])
        with self._lock:
            watched = self._watched.pop(largest, None)  # once is enough
        if watched is not None:
            watched.stop(f"disk-pressure: {full}; the task had written {format_bytes(sizes[largest])}")
