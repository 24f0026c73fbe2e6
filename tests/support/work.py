"""Measure work in calls, imports or processor seconds, so that a loaded machine matters little."""

from __future__ import annotations

import subprocess
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


_IMPORTS = """
import runpy, sys
before = set(sys.modules)
sys.argv = ["localrun", *sys.argv[1:]]
try:
    runpy.run_module("localrun", run_name="__main__")
finally:
    print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""


def modules_of_command(*arguments: str) -> set[str]:
    """Return the modules that `localrun ARGUMENTS` imports, which takes most of its time."""
    command = [sys.executable, "-c", _IMPORTS, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def cpu_seconds(function: Callable[[], object]) -> float:
    """Return the processor time of this thread in `function`: the smallest of three."""

    def measure() -> float:
        start = time.thread_time()
        function()
        return time.thread_time() - start

    return min(measure() for _ in range(3))
