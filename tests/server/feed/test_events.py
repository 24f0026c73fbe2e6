from __future__ import annotations

import json
import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from localrun.server.feed import folder_follower
from localrun.task.active import ActiveTask
from localrun.task.events import Event
from localrun.task.record import ProcessId, TaskRecord
from localrun.task.states import TaskState
from tests.support.server_client import ServerEnvironment, add, live, serve_environment

OTHER = ProcessId(host="h", pid=1, started=1.0, boot="another boot")


@dataclass
class Message:
    id: str
    event: str
    data: dict[str, Any]


class Stream:
    """The messages of an open stream."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        self._messages: queue.Queue[Message] = queue.Queue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self.response.iter_lines(chunk_size=1):
                name, _, value = line.decode().partition(": ")
                if name:
                    fields[name] = value
                elif "event" in fields:
                    message = Message(fields["id"], fields["event"], json.loads(fields["data"]))
                    self._messages.put(message)
                    fields = {}
        except (requests.RequestException, AttributeError, OSError):
            return  # closed

    def next(self) -> Message:
        return self._messages.get(timeout=60)

    def until(self, wanted: Callable[[Message], bool]) -> Message:
        while not wanted(found := self.next()):
            pass
        return found

    def close(self) -> None:
        self.response.close()
        self._thread.join()


@contextmanager
def stream(address: str, path: str = "/events", **headers: str) -> Iterator[Stream]:
    response = requests.get(f"{address}{path}", stream=True, timeout=60, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    found = Stream(response)
    try:
        yield found
    finally:
        shut(response)
        found.close()


def shut(response: requests.Response) -> None:
    """End a read that waits in another thread."""
    import socket

    raw = getattr(response.raw, "_connection", None) or response.raw.connection
    if raw is not None and raw.sock is not None:
        raw.sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


@pytest.fixture
def address(served: ServerEnvironment) -> Iterator[str]:
    with live(served.site) as found:
        yield found


def is_state(task_id: str, state: str) -> Callable[[Message], bool]:
    return lambda one: one.event == "state" and (one.data["task_id"], one.data["message"]) == (task_id, state)


def test_the_events_of_all_tasks_come_with_their_rows(served: ServerEnvironment, address: str) -> None:
    with stream(address) as events:
        hello = events.next()
        assert (hello.event, hello.data["server"]) == ("hello", served.site.feed.server)
        task_id = served.run(a=3, b=4)
        assert events.until(is_state(task_id, "CREATED")).data["task"]["state"] == "CREATED"
        ended = events.until(is_state(task_id, "FINISHED"))
        assert ended.data["task"]["values"] == [{"name": "sum", "text": "7"}]
        other = served.post({})["task_id"]
        assert events.until(is_state(other, "CREATED")).data["data"]["assigned_by"] == "ray"


def test_a_stream_resumes_after_the_last_event_and_after_a_list(
    served: ServerEnvironment, address: str
) -> None:
    event_id = served.client.get("/tasks").json()["event_id"]
    first, second = served.post({})["task_id"], served.post({})["task_id"]
    with stream(address, f"/events?after={event_id}") as events:
        assert events.next().event == "hello"
        seen = events.until(is_state(first, "CREATED"))
        assert seen.id.startswith(served.site.feed.server)
    with stream(address, **{"Last-Event-ID": seen.id}) as events:
        assert events.next().event == "hello"
        assert is_state(second, "CREATED")(events.next())


@pytest.mark.parametrize("last", ["0000-1", "x", "99"])
def test_an_unknown_id_is_answered_by_a_reset(served: ServerEnvironment, address: str, last: str) -> None:
    with stream(address, f"/events?after={last}") as events:
        assert [events.next().event, events.next().event] == ["hello", "reset"]
        task_id = served.post({})["task_id"]
        events.until(is_state(task_id, "CREATED"))


def test_the_journal_is_part_of_the_stream_on_request(served: ServerEnvironment, address: str) -> None:
    with stream(address, "/events?journal=true") as events, stream(address) as others:
        task_id = served.post({})["task_id"]
        line = events.until(lambda one: one.event == "journal" and one.data["event_type"] == "task_created")
        assert line.data["data"]["task_id"] == task_id
        served.client.get("/nope")
        events.until(lambda one: one.event == "journal" and one.data["event_type"] == "request_rejected")
        served.client.post(f"/task/{task_id}/complete")
        seen = [others.next()]
        while not is_state(task_id, "FINISHED")(seen[-1]):
            seen.append(others.next())
        assert {one.event for one in seen} == {"hello", "state"}


def make_other(served: ServerEnvironment, task_id: str) -> ActiveTask:
    """Create a task as another process does."""
    store = served.env.app.store
    workspace = store.create(task_id)
    task = ActiveTask(TaskRecord(id=task_id, bundle="b", owner=OTHER, folder=str(workspace.path)), workspace)
    task.create()
    store.publish(workspace)
    return task


@pytest.mark.parametrize("has_inotify", [True, False])
def test_tasks_of_other_processes_are_part_of_the_stream(
    served: ServerEnvironment, address: str, monkeypatch: pytest.MonkeyPatch, has_inotify: bool
) -> None:
    if not has_inotify:
        monkeypatch.setattr(folder_follower, "_new_watch", lambda: None)
    known = make_other(served, "known")
    with stream(address) as events:
        assert events.next().event == "hello"
        known.emit("note", "hello from another process")
        assert events.next().data["message"] == "hello from another process"
        new = make_other(served, "new")
        assert events.until(is_state("new", "CREATED")).data["task"]["id"] == "new"
        new.transition(TaskState.KILLED, message="stopped")
        served.env.app.store.withdraw("new")
        assert events.until(is_state("new", "KILLED")).data["task"]["state"] == "KILLED"
        shutil.rmtree(new.workspace.path)
        removed = events.until(lambda one: one.event == "removed")
        assert removed.data["task_id"] == "new"
    served.env.app.store.withdraw("known")


def test_events_between_the_list_and_the_stream_are_not_lost(served: ServerEnvironment, address: str) -> None:
    event_id = served.client.get("/tasks").json()["event_id"]
    make_other(served, "other")
    with stream(address, f"/events?after={event_id}") as events:
        events.until(is_state("other", "CREATED"))
    served.env.app.store.withdraw("other")


def test_the_usage_of_a_running_task_is_sent(served: ServerEnvironment, address: str) -> None:
    task = make_other(served, "a")
    task.workspace.logs.mkdir(exist_ok=True)
    with stream(address) as events:
        for state in (TaskState.PROVISIONED, TaskState.QUEUING, TaskState.QUEUED, TaskState.PENDING):
            task.transition(state)
        task.workspace.usage.write_text(
            '{"time":5.0,"cpu_seconds":1,"memory":77,"memory_peak":null,"read_bytes":0,"written_bytes":0,"pids":1}\n'
        )
        task.transition(TaskState.RUNNING)
        found = events.until(lambda one: one.event == "usage")
        assert (found.data["task_id"], found.data["data"]["memory"]) == ("a", 77)
    served.env.app.store.withdraw("a")


def test_the_row_of_a_task_is_sent_with_what_it_waits_for(served: ServerEnvironment) -> None:
    feed, tasks = served.site.feed, served.site.task_feed
    task = make_other(served, "a")
    task.update(message="0/1 nodes are available")
    task.save()
    tasks.publish(Event("note", "a", "0/1 nodes are available", {"waiting": True}))
    tasks.publish(Event("note", "a", "something else"))
    waiting, other = [json.loads(entry.data) for entry in feed.after(0) or []]
    assert waiting["task"]["message"] == "0/1 nodes are available"
    assert "task" not in other
    served.env.app.store.withdraw("a")


def test_progress_is_sent_now_and_then_and_output_never(served: ServerEnvironment) -> None:
    feed, tasks = served.site.feed, served.site.task_feed

    def progress(done: int) -> Event:
        return Event("progress", "a", "", {"what": "image", "done": done, "total": 100})

    tasks.publish(progress(1))
    assert feed.last_number == 0  # nobody reads
    feed._readers.add(object())  # type: ignore[arg-type]
    try:
        for done in range(101):
            tasks._feed = feed
            tasks.publish(progress(done))
        tasks.publish(Event("log", "a", "", {"stream": "stdout", "text": "x"}))
    finally:
        feed._readers.clear()
    sent = [json.loads(entry.data)["data"]["done"] for entry in feed.after(0) or []]
    assert sent[0] == 0
    assert sent[-1] == 100
    assert len(sent) < 100


def test_a_stream_ends_when_the_server_stops(served: ServerEnvironment) -> None:
    with live(served.site) as address:
        response = requests.get(f"{address}/events", stream=True, timeout=60)
        lines = response.iter_lines()
        assert next(lines) == b"retry: 1000"
    assert b"hello" in b"\n".join(lines)


def test_head_of_the_stream_ends(served: ServerEnvironment, address: str) -> None:
    assert requests.head(f"{address}/events", timeout=60).status_code == 200


def test_too_many_readers_are_refused(served: ServerEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localrun.server.feed.event_feed._MAX_READERS", 0)
    answer = served.client.get("/events")
    assert (answer.status_code, answer.json()["hint"]) == (503, "close other pages of this server")
