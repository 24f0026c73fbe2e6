"""Threads of a server that the system refuses to start, because of a limit on processes or memory."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.server_client import add, serve_environment


def test_a_task_without_a_thread_is_refused_and_later_ones_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, refuses = threading.Thread.start, True

    def refuse(thread: threading.Thread) -> None:
        if refuses and thread.name.startswith("task-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with serve_environment(tmp_path, add) as env:
        body = {"task": env.bundle(a=1, b=2), "assigned_by": "ray"}
        answer = env.client.post("/task", json=body)
        assert answer.status_code == 503, answer.text
        assert answer.json()["detail"].startswith("Not enough memory")
        assert env.env.app.store.active_ids() == []
        refuses = False
        task = env.client.post("/task", json=body).json()
        assert env.wait(task["task_id"])["state"] == "FINISHED"
