"""Sampling of a container's resource usage, and a file of the task's folder with one sample a second.

A control group of this machine is read from the start, without requests. Otherwise, a task that takes less
than a second costs nothing: no thread, no request. In both cases, it has no file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

from localrun import fs
from localrun.engines.base import Engine, Handle, Usage
from localrun.errors import ContainerGone, EngineError
from localrun.task.frozen import Frozen
from localrun.task.record import TaskRecord, UsageRecord
from localrun.task.workspace import Workspace

_DELAY = 1.0  # seconds before the first sample of the engine
_FIRST_INTERVAL, _INTERVAL = 0.01, 0.1  # seconds between direct samples: it doubles up to the second one
_OFTEN, _LATER_INTERVAL = 10.0, 1.0  # after so many seconds of a task, direct samples are rarer
_MAX_LINES = 7200  # two hours of samples; a longer file is thinned out
_RETRY_INTERVAL = 1.0  # seconds between attempts while the engine is lost
_TAIL = 4096  # bytes at the end of a file that hold its last sample
_CLOSE_TIMEOUT = 5.0  # seconds to wait for the last sample

UsageCallback = Callable[[Usage, UsageRecord], None]


class UsageSample(Frozen, frozen=True, kw_only=True):
    """A line of the file: a `Usage` and its time (seconds since 1970)."""

    time: float
    cpu_seconds: float
    memory: int
    memory_peak: int | None
    read_bytes: int
    written_bytes: int
    pids: int

    @classmethod
    def of(cls, usage: Usage, when: float) -> UsageSample:
        return cls(time=when, **{name: getattr(usage, name) for name in usage.__struct_fields__})


def aggregate(samples: Iterable[UsageSample]) -> UsageRecord | None:
    """Return the totals of samples in order of time; None if there are none."""
    total: UsageRecord | None = None
    for sample in samples:
        total = _add(total, sample)
    return total


def _add(total: UsageRecord | None, sample: UsageSample) -> UsageRecord:
    return UsageRecord(
        samples=(total.samples if total else 0) + 1,
        cpu_seconds=sample.cpu_seconds,
        memory_peak=max(sample.memory, total.memory_peak if total else 0),
        memory_most=sample.memory_peak,
        read_bytes=sample.read_bytes,
        written_bytes=sample.written_bytes,
        processes=max(sample.pids, total.processes if total else 0),
    )


def read_samples(path: Path) -> Iterator[UsageSample]:
    """Yield the samples of a file, none if it does not exist. Incomplete lines are skipped."""
    try:
        with fs.open_regular(path) as stream:
            lines = stream.readlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError, RecursionError):
            yield UsageSample.from_json(line)


def last_sample(path: Path) -> UsageSample | None:
    """Return the last complete sample of a file, without reading all of it."""
    try:
        with fs.open_regular(path) as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL))
            lines = stream.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        with suppress(ValueError, RecursionError):
            return UsageSample.from_json(line)
    return None


def with_current_usage(workspace: Workspace, record: TaskRecord) -> TaskRecord:
    """Return the record with its usage until now, which is only in the file while the task runs."""
    if record.state.is_final and record.usage is not None:
        return record
    return record.replace(usage=aggregate(read_samples(workspace.usage)) or record.usage)


class UsageFile:
    """The samples of one task. At 7,200 lines, the file is thinned out to every second line.

    The file may already exist: a process that resumes a task appends to the samples of an earlier one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = 0
        self._stride = 1  # samples for each line, one a second
        self._added = 0  # since the last line
        self._pending: list[UsageSample] = []  # the samples of the next line
        self.total: UsageRecord | None = None

    def load(self) -> None:
        """Continue after the samples of an existing file."""
        earlier = list(read_samples(self._path))
        self.total = aggregate(earlier)
        self._lines = len(earlier)
        intervals = sorted(later.time - one.time for one, later in pairwise(earlier))
        if intervals:  # the median: there are no samples while no process owns the task
            self._stride = max(1, round(intervals[len(intervals) // 2]))

    def add(self, sample: UsageSample) -> UsageRecord:
        """Add the sample of a second and return the totals."""
        total = self.count(sample)
        self._added += 1
        if self._added >= self._stride:
            self.flush()
        return total

    def count(self, sample: UsageSample) -> UsageRecord:
        """Add a sample within a second, which does not have a line of its own, and return the totals."""
        self.total = total = _add(self.total, sample)
        self._pending.append(sample)
        return total

    def flush(self) -> None:
        """Write pending samples. They are lost if the disk is full; the task is not affected."""
        if not self._pending:
            return
        line = _highest(self._pending)
        self._pending, self._added = [], 0
        with suppress(OSError):
            with open(self._path, "ab", opener=fs.private) as stream:
                stream.write(line.to_json() + b"\n")
            self._lines += 1
            if self._lines >= _MAX_LINES:
                self._thin_out()

    @property
    def has_lines(self) -> bool:
        return self._lines > 0

    def _thin_out(self) -> None:
        samples = list(read_samples(self._path))
        kept = [_highest(samples[start : start + 2]) for start in range(0, len(samples), 2)]
        with fs.atomic_file(self._path) as temp, open(temp, "wb", opener=fs.private) as stream:
            stream.writelines(sample.to_json() + b"\n" for sample in kept)
        self._lines, self._stride = len(kept), self._stride * 2


def _highest(samples: list[UsageSample]) -> UsageSample:
    """Return the sample with the most memory, so that thinning out keeps the peak."""
    return max(samples, key=lambda sample: sample.memory)


class UsageSampler:
    """Samples the usage of a container in a thread.

    It reads the control group if this machine has it. If not, it asks the engine, once the container has run
    for a second. `on_sample` is called in that thread with a sample a second and the totals.
    """

    def __init__(self, engine: Engine, handle: Handle, path: Path, on_sample: UsageCallback) -> None:
        self._engine = engine
        self._handle = handle
        self._on_sample = on_sample
        self._file = UsageFile(path)
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start sampling at once if the control group can be read."""
        usage = self._engine.measure(self._handle)
        if usage is not None:
            self._start_thread(partial(self._sample_directly, usage))

    def on_tick(self) -> None:
        """Start sampling after a second; call it a few times a second."""
        if self._thread is None and time.monotonic() - self._started >= _DELAY:
            self._start_thread(self._run)

    def _start_thread(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"usage-{self._handle[:8]}", daemon=True)
        with self._lock, suppress(RuntimeError):  # too many threads: the next tick tries again
            if not self._closed.is_set():
                thread.start()
                self._thread = thread

    def _sample_directly(self, usage: Usage | None) -> None:
        self._file.load()
        interval, reported = _FIRST_INTERVAL, self._started
        while usage is not None:
            sample, now = UsageSample.of(usage, time.time()), time.monotonic()
            if now - reported >= _DELAY:
                reported = now
                self._on_sample(usage, self._file.add(sample))
            else:
                self._file.count(sample)
            if self._closed.wait(interval):
                return
            interval = min(2 * interval, _INTERVAL) if now - self._started < _OFTEN else _LATER_INTERVAL
            usage = self._engine.measure(self._handle)

    def _run(self) -> None:
        self._file.load()
        while not self._closed.is_set():
            try:
                self._sample()
                return
            except ContainerGone:
                return
            except EngineError:  # the engine is lost; the monitor decides what happens to the task
                self._closed.wait(_RETRY_INTERVAL)

    def _sample(self) -> None:
        with closing(self._engine.usage(self._handle)) as samples:
            for usage in samples:
                if self._closed.is_set():
                    return
                self._on_sample(usage, self._file.add(UsageSample.of(usage, time.time())))

    def close(self) -> UsageRecord | None:
        """Stop sampling and return the totals; None if there are no samples."""
        with self._lock:
            self._closed.set()
        thread = self._thread
        if thread is None:
            self._file.load()  # an earlier process may have written samples
            return self._file.total
        assert thread.ident is not None
        deadline = time.monotonic() + _CLOSE_TIMEOUT
        while thread.is_alive() and time.monotonic() < deadline:
            self._engine.abandon(thread.ident)  # repeated: the thread may be about to wait
            thread.join(0.02)
        if self._file.has_lines or time.monotonic() - self._started >= _DELAY:
            self._file.flush()
        return self._file.total
