"""Numbers: taken in turn, so that what the machine does meanwhile hits all alike, and judged as ratios."""

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
    """One number that is promised: how it comes out of the medians (seconds), and how much it may be.

    `least` in place of `limit`: how much it must be.
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
    """What was measured together, and what is promised of it."""

    title: str
    samples: Samples
    targets: tuple[Target, ...]
    base: str  # the case that the others are compared with

    @property
    def medians(self) -> Medians:
        return {name: statistics.median(values) for name, values in self.samples.items()}

    def judged(self) -> list[dict[str, Any]]:
        return [target.judge(self.medians) for target in self.targets]


def measure(cases: Mapping[str, Case], rounds: int, *, warm: int = 1, burst: int = 1) -> Samples:
    """Every round runs every case in turn; the first `warm` rounds fill caches and do not count.

    Every second round goes backwards: what a case leaves in the caches of the machine helps or hinders
    the next. A case is run `burst` times at a turn, and the mean of them counts.
    """
    samples: Samples = {name: [] for name in cases}
    for number in range(rounds + warm):
        for name, case in list(cases.items())[:: -1 if number % 2 else 1]:
            begun = time.perf_counter()
            for _ in range(burst):
                case()
            if number >= warm:
                samples[name].append((time.perf_counter() - begun) / burst)
        tell(f"round {max(0, number + 1 - warm)} of {rounds}")
    return samples


def tell(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{progress:<60}\r", end="", file=sys.stderr, flush=True)


def show(chapter: Chapter) -> None:
    medians = chapter.medians
    print(f"\n{chapter.title:<48}{'median':>13}{'p10..p90':>20}   x {chapter.base}")
    for name, values in chapter.samples.items():
        spread = f"{_shown(_quantile(values, 0.1))}..{_shown(_quantile(values, 0.9))}"
        times = medians[name] / medians[chapter.base]
        print(f"{name:<48}{_shown(medians[name]):>10} ms{spread:>20}{times:>12.2f}")


def show_targets(judged: list[dict[str, Any]]) -> None:
    print(f"\n{'target':<48}{'measured':>13}{'promised':>20}")
    for row in judged:
        promised = f"{row['bound']} {row['limit']} {row['unit']}"
        verdict = "" if row["kept"] else "   MISSED"
        print(f"{row['name']:<48}{row['value']:>11} {row['unit']}{promised:>20}{verdict}")


def _shown(seconds: float) -> str:
    """In milliseconds, with three digits that tell something."""
    return f"{seconds * 1000:.{0 if seconds >= 0.1 else 1 if seconds >= 0.01 else 2}f}"


def _quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def machine() -> dict[str, Any]:
    """Where the numbers come from."""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    docker = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return {
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "docker": docker,
    }
