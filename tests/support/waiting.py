"""Wait for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

WAIT = 120.0  # seconds


def until(check: Callable[[], Any], seconds: float = WAIT) -> Any:
    """Wait until `check` returns something true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return found
