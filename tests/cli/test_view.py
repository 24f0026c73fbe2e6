"""`localrun serve --open` and `localrun view`, as processes of their own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from localrun.task.record import ProcessId, TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from tests.support.session import inherited_environment
from tests.support.waiting import until

_ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)(/ui/\S*)")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment without an engine, whose browser notes the addresses that it opens."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    browser.chmod(0o755)
    own = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "BROWSER": str(browser)}
    return {**inherited_environment(), **own, "LOCALRUN_LEDGER": str(tmp_path / "ledger/l.json")}


def opened(folder: Path) -> str:
    """Return the address that the browser was opened with."""
    path = folder / "opened"
    until(lambda: path.exists() and path.read_text().endswith("\n"))
    return path.read_text().strip()


@contextmanager
def started(folder: Path, environment: dict[str, str], *words: str) -> Iterator[tuple[str, str]]:
    """Start a server; return its URL and the path of the page that it prints, and end it with Ctrl+C."""
    command = [sys.executable, "-m", "localrun", *words]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := _ADDRESS.search(line):
                break
        else:
            pytest.fail("it printed no address of its page")
        end = time.monotonic() + 60
        while True:
            try:
                requests.get(f"{found[1]}/session", timeout=60)
                break
            except requests.ConnectionError:
                assert time.monotonic() < end
        yield found[1], found[2]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def serve(folder: Path, environment: dict[str, str], *words: str) -> Any:
    return started(folder, environment, "serve", "--port", "0", "--without-engine", *words)


def view(folder: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localrun", "view", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def redeem(address: str) -> str:
    """Exchange the code in an address for the token, as the page does."""
    url, _, code = address.partition("#code=")
    answer = requests.post(f"{url.partition('/ui/')[0]}/session", json={"code": code}, timeout=60)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def store_task(folder: Path, task_id: str = "task-1") -> TaskStore:
    """Store a running task whose process has died."""
    store = TaskStore(folder / ".localrun")
    workspace = store.create(task_id)
    owner = ProcessId(host="h", pid=1, started=1.0, boot="another boot")
    history = [(TaskState.CREATED, 1.0), (TaskState.RUNNING, 2.0)]
    record = TaskRecord(id=task_id, bundle="b", state=TaskState.RUNNING, history=history, owner=owner)
    (workspace.path / "events.jsonl").write_text("")
    workspace.save(record.replace(folder=str(workspace.path)))
    store.publish(workspace)
    return store


def test_a_server_with_a_token_prints_an_address_that_works_once(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with serve(tmp_path, {**environment, "LOCALRUN_TOKEN": "secret-token"}, "--open") as (url, page):
        assert page.startswith("/ui/#code=")
        assert "secret-token" not in page
        assert opened(tmp_path) == f"{url}{page}"
        assert redeem(f"{url}{page}") == "secret-token"
        code = page.partition("=")[2]
        assert requests.post(f"{url}/session", json={"code": code}, timeout=60).status_code == 401
        shown = view(tmp_path, environment, "task-1")
        assert (shown.returncode, "no task" in shown.stderr) != (0, False)
    assert list((tmp_path / ".localrun/servers").iterdir()) == []


def test_a_task_is_shown_by_the_server_that_runs(tmp_path: Path, environment: dict[str, str]) -> None:
    with serve(tmp_path, {**environment, "LOCALRUN_TOKEN": "secret-token"}) as (url, _):
        headers = {"authorization": "Bearer secret-token"}
        made = requests.post(
            f"{url}/task", json={"task": {}, "assigned_by": "x"}, headers=headers, timeout=60
        )
        task_id = made.json()["task_id"]
        shown = view(tmp_path, environment, task_id[:8])  # without the token
        assert (shown.returncode, shown.stderr) == (0, "")
        address = shown.stdout.split()[0]
        assert address.startswith(f"{url}/ui/task/{task_id}#code=")
        assert opened(tmp_path) == address
        assert redeem(address) == "secret-token"


def test_without_a_server_view_is_one_that_takes_over_nothing(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    store = store_task(tmp_path)
    before = store.open("task-1").load()
    with started(tmp_path, environment, "view", "last", "--no-open") as (url, page):
        assert page.startswith("/ui/task/task-1#code=")
        assert requests.get(f"{url}/task/task-1", timeout=60).status_code == 401
        headers = {"authorization": f"Bearer {redeem(url + page)}"}
        found = requests.get(f"{url}/task/task-1/view", headers=headers, timeout=60).json()
        assert found["row"]["state"] == "RUNNING"
        rows = requests.get(f"{url}/tasks", headers=headers, timeout=60).json()["tasks"]
        assert [row["id"] for row in rows] == ["task-1"]
    assert store.open("task-1").load() == before
    assert not (tmp_path / "opened").exists()
    assert not (tmp_path / "logs").exists()


def test_an_unknown_task_is_not_shown(tmp_path: Path, environment: dict[str, str]) -> None:
    shown = view(tmp_path, environment, "nope")
    assert shown.returncode != 0
    assert "nope" in shown.stderr
