"""Disk pressure: stop the largest task before the disk is full.

There are no notifications for this, so disk usage is polled a few times a second while tasks run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from localrun.admission import HostSample, sample_host
from localrun.units import format_bytes


class MonitoredTask(msgspec.Struct, frozen=True):
    """A running task: `size` returns the bytes it has written, `stop` stops it for a reason.

    `on_tick` is called at every poll, so that delayed actions need no thread of their own, and `on_sample`
    with the sample of the host.
    """

    size: Callable[[], int]
    stop: Callable[[str], None]
    on_tick: Callable[[], None] = lambda: None
    on_sample: Callable[[HostSample], None] = lambda _: None


class DiskMonitor:
    """Monitors the file systems of `folders` while at least one task runs. Thread-safe.

    Above `limit` percent, it stops the running task that has written the most.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        limit: float,
        *,
        sample_host: Callable[[Sequence[Path]], HostSample] = sample_host,
        interval: float = 0.2,  # seconds
    ) -> None:
        self._folders = folders
        self._limit = limit
        self._sample_host = sample_host
        self._interval = interval
        self._lock = threading.Lock()
        self._tasks: dict[str, MonitoredTask] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def monitor(self, task_id: str, task: MonitoredTask) -> Iterator[None]:
        """Monitor a task within a `with` block."""
        with self._lock:
            if self._thread is None:
                wake = threading.Event()
                thread = threading.Thread(target=self._run, args=(wake,), name="disk-monitor", daemon=True)
                thread.start()
                self._wake, self._thread = wake, thread
            self._tasks[task_id] = task
        try:
            yield
        finally:
            self._remove(task_id)

    def _remove(self, task_id: str) -> None:
        with self._lock:
            self._tasks.pop(task_id, None)
            thread = None
            if not self._tasks:
                thread, self._thread = self._thread, None
                self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self, wake: threading.Event) -> None:
        while not wake.wait(self._interval):
            with self._lock:
                running = list(self._tasks.values())
            for task in running:
                task.on_tick()
            host = self._sample_host(self._folders)
            for task in running:
                task.on_sample(host)
            full = self._pressure(host)
            if full:
                self._stop_largest(full)

    def _pressure(self, host: HostSample) -> str:
        for point, disk in host.disks.items():
            if disk.percent > self._limit:
                return f"{point} is {disk.percent:.0f} % full, limit {self._limit:g} %"
        return ""

    def _stop_largest(self, full: str) -> None:
        with self._lock:
            running = dict(self._tasks)
        sizes = {task_id: task.size() for task_id, task in running.items()}
        if not sizes:
            return
        largest = max(sizes, key=lambda task_id: sizes[task_id])
        with self._lock:
            task = self._tasks.pop(largest, None)  # so that it is stopped only once
        if task is not None:
            task.stop(f"disk-pressure: {full}; the task had written {format_bytes(sizes[largest])}")
