from __future__ import annotations

import threading
from typing import Any

import pytest

from localrun.engines.fake import FakeEngine
from localrun.runner.time_limit import TimeLimit


@pytest.mark.parametrize("seconds", [2.0**64, 1.5e300])
def test_a_limit_of_many_centuries_is_no_error(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    failures: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    with TimeLimit(FakeEngine(), "container", seconds, lambda: None).enforced(0.0):
        pass
    assert failures == []
