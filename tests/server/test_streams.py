from __future__ import annotations

import asyncio
import errno
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.fake import FakeContainer
from localrun.server.broadcast import Broadcaster
from localrun.server.feed.folder_watch import FolderWatch
from localrun.task.events import Event
from localrun.task.workspace import Workspace
from tests.support.server_client import serve_environment
from tests.support.waiting import until


def talk(container: FakeContainer) -> int:
    for number in range(3):
        container.stdout.write(f"line {number}\n")
    container.stderr.write("<script>alert(1)</script>\n")
    container.path("/outputs/sum").write_text("1")
    return 0


def events(text: str) -> list[dict[str, Any]]:
    """Return the events of a stream: id, event, data."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found


def test_the_log_is_plain_text_whatever_is_in_it(tmp_path: Path) -> None:
    with serve_environment(tmp_path, talk) as env:
        task_id = env.run(a=1, b=2)
        env.wait(task_id)
        answer = env.client.get(f"/task/{task_id}/logs")
    assert answer.text == "line 0\nline 1\nline 2\n<script>alert(1)</script>\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_log_is_followed_to_the_end_of_the_task(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        container.stdout.write("before\n")
        go.wait(60)
        return talk(container)

    with serve_environment(tmp_path, program) as env:
        task_id = env.run(a=1, b=2)
        found: list[str] = []
        reader = threading.Thread(
            target=lambda: found.append(env.client.get(f"/task/{task_id}/logs?follow=true").text)
        )
        reader.start()
        go.set()
        reader.join(60)
    assert found[0].startswith("before\nline 0\nline 1\nline 2\n")


def test_a_task_that_has_not_started_has_an_empty_log(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        assert env.client.get(f"/task/{env.run(a=1)}/logs").text == ""


def test_events_are_streamed_from_the_first_to_the_end(tmp_path: Path) -> None:
    with serve_environment(tmp_path, talk) as env:
        answer = env.client.get(f"/task/{env.run(a=1, b=2)}/events")
    found = [event for event in events(answer.text) if "id" in event]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [int(event["id"]) for event in found] == list(range(1, len(found) + 1))
    states = [event["data"]["data"]["state"] for event in found if event["event"] == "state"]
    assert (states[0], states[-1]) == ("CREATED", "FINISHED")


def test_a_stream_goes_on_after_the_last_event_that_was_received(tmp_path: Path) -> None:
    with serve_environment(tmp_path, talk) as env:
        task_id = env.run(a=1, b=2)
        whole = events(env.client.get(f"/task/{task_id}/events").text)
        rest = events(env.client.get(f"/task/{task_id}/events", headers={"Last-Event-ID": "4"}).text)
        wrong = env.client.get(f"/task/{task_id}/events", headers={"Last-Event-ID": "x"})
    assert rest == [event for event in whole if int(event.get("id", 0)) > 4]
    assert wrong.status_code == 422


def test_a_free_form_task_is_watched_until_it_is_completed(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        task_id = env.post({})["task_id"]
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.append(env.client.get(f"/task/{task_id}/events").text))
        reader.start()
        env.client.post(f"/task/{task_id}/complete")
        reader.join(60)
    assert [event["data"]["message"] for event in events(found[0])] == ["CREATED", "FINISHED"]


def test_a_task_of_another_process_is_watched_too(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env, serve_environment(tmp_path) as other:
        task_id = other.post({})["task_id"]
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.append(env.client.get(f"/task/{task_id}/events").text))
        reader.start()
        other.client.post(f"/task/{task_id}/complete")
        reader.join(60)
        assert env.wait(task_id)["state"] == "FINISHED"
    assert events(found[0])[-1]["data"]["message"] == "FINISHED"


def test_a_watcher_hears_only_of_its_task_and_leaves_nothing_behind() -> None:
    async def watch() -> list[bool]:
        hub = Broadcaster()
        with hub.subscribe("one") as watcher:
            hub.publish(Event("state", "two"))
            quiet = await watcher.wait(0)
            hub.publish(Event("progress", "one"))
            told = await watcher.wait(60)
            passing = len(watcher.transient_events) == 1
        return [quiet, told, passing, not hub._subscriptions]

    assert asyncio.run(watch()) == [False, True, True, True]


def test_changes_of_files_wake_a_subscriber_also_in_a_folder_that_appears_later(tmp_path: Path) -> None:
    async def watch() -> list[bool]:
        hub, logs = Broadcaster(), tmp_path / "logs"
        with hub.subscribe("one", tmp_path, logs) as watcher:
            found = [await watcher.wait(0), await watcher.wait(0)]  # the watch begins, and nothing changes
            logs.mkdir()
            found.append(await watcher.wait(60))  # it is watched
            found.append(await watcher.wait(60))  # the other folder has it
            (logs / "log").write_text("line\n")
            found.append(await watcher.wait(60))
            shutil.rmtree(tmp_path)
            found.append(await watcher.wait(60))
        return [*found, not hub._wakeups._callbacks, hub._wakeups._watch is None]

    assert asyncio.run(watch()) == [True, False, True, True, True, True, True, True]


def test_files_are_looked_at_now_and_then_where_the_kernel_reports_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_watch: FolderWatch) -> None:
        raise OSError(errno.EMFILE, "too many watches")

    monkeypatch.setattr(FolderWatch, "__init__", fail)
    with serve_environment(tmp_path) as env, serve_environment(tmp_path) as other:
        task_id = other.post({})["task_id"]
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.append(env.client.get(f"/task/{task_id}/events").text))
        reader.start()
        other.client.post(f"/task/{task_id}/complete")
        reader.join(60)
    assert events(found[0])[-1]["data"]["message"] == "FINISHED"


def test_an_idle_stream_does_not_look_at_its_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    wait_for = asyncio.wait_for

    async def record_wait(awaitable: Any, timeout: float | None) -> Any:
        waits.append(timeout or 0)
        return await wait_for(awaitable, timeout)

    with serve_environment(tmp_path) as env, serve_environment(tmp_path) as other:
        task_id = other.post({})["task_id"]
        monkeypatch.setattr("localrun.server.broadcast.asyncio.wait_for", record_wait)
        paths = ("events", "logs?follow=true", "logs?format=events", "wait?timeout=60")
        readers = [
            threading.Thread(target=env.client.get, args=(f"/task/{task_id}/{path}",)) for path in paths
        ]
        for reader in readers:
            reader.start()
        until(lambda: len(waits) >= len(paths))
        assert set(waits) == {15}
        other.client.post(f"/task/{task_id}/complete")
        for reader in readers:
            reader.join(60)
        assert not any(reader.is_alive() for reader in readers)


def test_all_who_wait_are_let_go_when_the_server_stops() -> None:
    async def close() -> bool:
        hub = Broadcaster()
        with hub.subscribe("one") as watcher:
            hub.close()
            return await watcher.wait(60) and hub.is_closing

    assert asyncio.run(close())


def test_the_last_event_is_sent_although_the_record_ends_before_it_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_read = threading.Event()
    append = Workspace.append_event

    def append_late(workspace: Workspace, event: Event) -> None:
        if event.message == "FINISHED":
            assert is_read.wait(60)
        append(workspace, event)

    with serve_environment(tmp_path) as env, serve_environment(tmp_path) as other:
        task_id = other.post({})["task_id"]
        monkeypatch.setattr(Workspace, "append_event", append_late)
        ending = threading.Thread(target=other.client.post, args=(f"/task/{task_id}/complete",))
        ending.start()
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.append(env.client.get(f"/task/{task_id}/events").text))
        until(lambda: env.site.is_ended(task_id))
        reader.start()
        reader.join(1)
        is_read.set()
        reader.join(60)
        ending.join()
    assert events(found[0])[-1]["data"]["message"] == "FINISHED"
