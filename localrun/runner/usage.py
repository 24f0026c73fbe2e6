"""What a task's container uses: a sample a second in a file of the task's folder, and what they come to.

A task that is shorter than a second costs nothing here: no thread, no question, no file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

from localrun import fs
from localrun.engines.base import Engine, Handle, Usage
from localrun.errors import ContainerGone, EngineError
from localrun.task.record import Frozen, TaskRecord, UsageRecord
from localrun.task.workspace import Workspace

_FIRST = 1.0  # seconds before the first sample
_MOST = 7200  # lines of a file; beyond them it is thinned out: two hours in whole seconds
_AGAIN = 1.0  # seconds between two attempts while the engine is away
_PATIENCE = 5.0  # seconds that the end of a task may wait for the last sample

UsageCallback = Callable[[Usage, UsageRecord], None]


class UsageSample(Frozen, frozen=True, kw_only=True):
    """One line of the file: a `Usage`, and when (seconds since 1970)."""

    time: float
    cpu_seconds: float
    memory: int
    memory_peak: int | None
    read_bytes: int
    written_bytes: int
    pids: int

    @classmethod
    def of(cls, usage: Usage, when: float) -> UsageSample:
        """What the engine has just measured."""
        return cls(time=when, **{name: getattr(usage, name) for name in usage.__struct_fields__})


def aggregate(samples: Iterable[UsageSample]) -> UsageRecord | None:
    """What samples come to, in their order; None when there are none."""
    total: UsageRecord | None = None
    for sample in samples:
        total = _with(total, sample)
    return total


def _with(total: UsageRecord | None, sample: UsageSample) -> UsageRecord:
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
    """The samples of a file; none when it is not there. A line that was torn is left out."""
    try:
        with path.open("rb") as stream:
            lines = stream.readlines()
    except OSError:
        return
    for line in lines:
        try:
            yield UsageSample.from_json(line)
        except (ValueError, RecursionError):
            continue


def with_current_usage(workspace: Workspace, record: TaskRecord) -> TaskRecord:
    """The record of a task with what it has used until now, while that is in its file only."""
    if record.state.is_final and record.usage is not None:
        return record
    return record.replace(usage=aggregate(read_samples(workspace.usage)) or record.usage)


class UsageFile:
    """The samples of one task. The file stays within 7,200 lines: beyond, every second one is dropped.

    It may be there already: a process that takes a task over adds to what another one has measured.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = 0
        self._stride = 1  # samples for each line
        self._held: list[UsageSample] = []  # those of the next line
        self.total: UsageRecord | None = None

    def load(self) -> None:
        """Go on from what is there."""
        earlier = list(read_samples(self._path))
        self.total = aggregate(earlier)
        self._lines = len(earlier)
        between = sorted(later.time - one.time for one, later in pairwise(earlier))
        if between:  # the middle one: while nobody carried the task, nobody measured it
            self._stride = max(1, round(between[len(between) // 2]))

    def add(self, sample: UsageSample) -> UsageRecord:
        """Take one more; what all come to."""
        self.total = total = _with(self.total, sample)
        self._held.append(sample)
        if len(self._held) >= self._stride:
            self.flush()
        return total

    def flush(self) -> None:
        """Write what is held back. Where there is no room it is lost: the task goes on all the same."""
        if not self._held:
            return
        line = _fullest(self._held)
        self._held = []
        try:
            with self._path.open("ab") as stream:
                stream.write(line.to_json() + b"\n")
            self._lines += 1
            if self._lines >= _MOST:
                self._thin_out()
        except OSError:
            return

    def _thin_out(self) -> None:
        samples = list(read_samples(self._path))
        kept = [_fullest(samples[start : start + 2]) for start in range(0, len(samples), 2)]
        with fs.atomic_file(self._path) as temp:
            temp.write_bytes(b"".join(sample.to_json() + b"\n" for sample in kept))
        self._lines, self._stride = len(kept), self._stride * 2


def _fullest(samples: list[UsageSample]) -> UsageSample:
    """The one with the most memory stands for the others: a peak must not be thinned out."""
    return max(samples, key=lambda sample: sample.memory)


class UsageSampler:
    """Measures one container in a thread of its own, from when it has run for a second.

    `hear` is told each sample and what all come to, in that thread.
    """

    def __init__(self, engine: Engine, handle: Handle, path: Path, on_sample: UsageCallback) -> None:
        self._engine = engine
        self._handle = handle
        self._hear = on_sample
        self._readings = UsageFile(path)
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def on_tick(self) -> None:
        """To be called a few times a second: begins to measure when it is time."""
        if self._thread is not None or time.monotonic() - self._begun < _FIRST:
            return
        thread = threading.Thread(target=self._run, name=f"meter-{self._handle[:8]}", daemon=True)
        with self._lock, suppress(RuntimeError):  # there may be no more threads just now: the next beat tries
            if not self._closed.is_set():
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        self._readings.load()
        while not self._closed.is_set():
            try:
                self._measure()
                return
            except ContainerGone:
                return
            except EngineError:  # it went away; how the task goes on is decided elsewhere
                self._closed.wait(_AGAIN)

    def _measure(self) -> None:
        with closing(self._engine.usage(self._handle)) as samples:
            for usage in samples:
                if self._closed.is_set():
                    return
                self._hear(usage, self._readings.add(UsageSample.of(usage, time.time())))

    def close(self) -> UsageRecord | None:
        """End the measuring; what was used, None when it was never seen."""
        with self._lock:
            self._closed.set()
        thread = self._thread
        if thread is None:
            self._readings.load()  # perhaps another process has seen something
            return self._readings.total
        assert thread.ident is not None
        deadline = time.monotonic() + _PATIENCE
        while thread.is_alive() and time.monotonic() < deadline:
            self._engine.abandon(thread.ident)  # it may just have looked, and begin to wait now
            thread.join(0.02)
        self._readings.flush()
        return self._readings.total
