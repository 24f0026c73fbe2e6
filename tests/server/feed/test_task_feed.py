"""The feed of a server gets the events of its tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from localrun.server.feed.task_feed import TaskFeed
from localrun.task.events import Event


def test_progress_that_has_no_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[str] = []
    feed: Any = SimpleNamespace(has_readers=True, publish=lambda kind, _: published.append(kind))
    monkeypatch.setattr("localrun.server.feed.task_feed._MAX_RECENT", 10)
    monkeypatch.setattr("localrun.server.feed.task_feed._PROGRESS_INTERVAL", 0.0)
    tasks = TaskFeed(feed, lambda _: None)
    for number in range(100):
        data = {"what": "downloading", "done": 1, "total": None}
        tasks.publish(Event(time=number, task_id=str(number), kind="progress", message="", data=data))
    assert len(published) == 100
    assert len(tasks._progress) <= 10
