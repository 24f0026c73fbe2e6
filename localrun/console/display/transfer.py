"""The progress of an operation in bytes: how much is done, how fast, and how long the rest takes."""

from __future__ import annotations

import time
from collections import deque

from localrun.units import format_bytes, format_duration

_WINDOW = 5.0  # seconds over which the rate is measured
_SPACING = 0.25  # seconds between two samples
_FIRST = 1.0  # seconds until the rate is meaningful


class Transfer:
    """Measures the rate of an operation. `done` is in bytes; `total` is 0 if it is not known."""

    def __init__(self, now: float | None = None) -> None:
        self.done = 0
        self.total = 0
        self._started = time.monotonic() if now is None else now
        self._samples: deque[tuple[float, int]] = deque([(self._started, 0)])

    def update(self, done: int, total: int, now: float | None = None) -> None:
        """Record the progress at a time of the monotonic clock."""
        now = time.monotonic() if now is None else now
        self.done, self.total = done, total
        if now - self._samples[-1][0] >= _SPACING:
            self._samples.append((now, done))
            while now - self._samples[0][0] > _WINDOW and len(self._samples) > 2:
                self._samples.popleft()

    @property
    def rate(self) -> float:
        """Bytes per second; 0 if it is not known yet."""
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        return (after - before) / (last - first) if last - self._started >= _FIRST and last > first else 0.0

    @property
    def amount(self) -> str:
        """How much is done, such as `1.2 GiB of 4 GiB`."""
        done = format_bytes(self.done)
        # the total of an engine is an estimate
        return f"{done} of {format_bytes(self.total)}" if 0 < self.done <= self.total else done

    @property
    def speed(self) -> str:
        """The rate and the remaining time, such as `310 MiB/s, 9 s left`; empty if they are not known."""
        rate = self.rate
        if rate < 1:
            return ""
        text = f"{format_bytes(round(rate))}/s"
        left = (self.total - self.done) / rate
        return f"{text}, {format_duration(max(1, round(left)))} left" if left > 0 else text
