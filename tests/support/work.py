"""Measure work in calls, or in processor seconds, so that a loaded machine matters little."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any


def count_calls(function: Callable[[], object]) -> int:
    """Return how many functions `function` calls, of Python and of C."""
    calls = 0

    def count(_frame: FrameType, event: str, _value: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    previous = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(previous)
    return calls


def cpu_seconds(function: Callable[[], object]) -> float:
    """Return the processor time of this thread in `function`: the smallest of three."""

    def measure() -> float:
        start = time.thread_time()
        function()
        return time.thread_time() - start

    return min(measure() for _ in range(3))
