"""Measure work in calls instead of seconds, so that a loaded machine does not matter."""

from __future__ import annotations

import sys
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
