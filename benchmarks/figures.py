"""Measures cases in turn, so that other load affects all of them, and compares the results as ratios."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Case = Callable[[], object]
Samples = dict[str, list[float]]
Medians = dict[str, float]


@dataclass(frozen=True)
class Target:
    """A target for a number that is computed from the medians in seconds.

    `limit` is the maximum, or the minimum if `least` is true.
    """

    name: str
    value: Callable[[Medians], float]
    limit: float
    unit: str = "x"
    least: bool = False

    def judge(self, medians: Medians) -> dict[str, Any]:
        value = self.value(medians)
        kept = value >= self.limit if self.least else value <= self.limit
        row = {"name": self.name, "value": round(value, 4), "limit": self.limit, "unit": self.unit}
        return {**row, "bound": "at least" if self.least else "at most", "kept": kept}


@dataclass(frozen=True)
class Chapter:
    """Cases that are measured together, and their targets."""

    title: str
    samples: Samples
    targets: tuple[Target, ...]
    base: str  # the baseline

    @property
    def medians(self) -> Medians:
        return {name: statistics.median(values) for name, values in self.samples.items()}

    def judged(self) -> list[dict[str, Any]]:
        return [target.judge(self.medians) for target in self.targets]


def measure(cases: Mapping[str, Case], rounds: int, *, warm: int = 1, burst: int = 1) -> Samples:
    """Run every case in each round; the first `warm` rounds fill caches and are not counted.

    Every second round is in reverse order, because a case affects the caches of the machine for the next. In
    each round, a case runs `burst` times, and the mean is counted.
    """
    samples: Samples = {name: [] for name in cases}
    for number in range(rounds + warm):
        for name, case in list(cases.items())[:: -1 if number % 2 else 1]:
            started = time.perf_counter()
            for _ in range(burst):
                case()
            if number >= warm:
                samples[name].append((time.perf_counter() - started) / burst)
        report(f"round {max(0, number + 1 - warm)} of {rounds}")
    return samples


def report(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{progress:<60}\r", end="", file=sys.stderr, flush=True)


def show(chapter: Chapter) -> None:
    medians = chapter.medians
    print(f"\n{chapter.title:<48}{'median':>13}{'p10..p90':>20}   x {chapter.base}")
    for name, values in chapter.samples.items():
        spread = f"{_format(_quantile(values, 0.1))}..{_format(_quantile(values, 0.9))}"
        times = medians[name] / medians[chapter.base]
        print(f"{name:<48}{_format(medians[name]):>10} ms{spread:>20}{times:>12.2f}")


def show_targets(judged: list[dict[str, Any]]) -> None:
    print(f"\n{'target':<48}{'measured':>13}{'promised':>20}")
    for row in judged:
        promised = f"{row['bound']} {row['limit']} {row['unit']}"
        verdict = "" if row["kept"] else "   MISSED"
        print(f"{row['name']:<48}{row['value']:>11} {row['unit']}{promised:>20}{verdict}")


def _format(seconds: float) -> str:
    """Return milliseconds with three significant digits."""
    return f"{seconds * 1000:.{0 if seconds >= 0.1 else 1 if seconds >= 0.01 else 2}f}"


def _quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def machine() -> dict[str, Any]:
    """Return the machine and software versions."""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    docker = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return {
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "docker": docker,
    }
