"""Events of a task, and waiting for it in asyncio."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from localrun.engines.fake import FakeContainer
from localrun.task.events import Event
from tests.api.test_task import env_of, fail, hang, submit
from tests.manager.test_recovery import add


def states(events: list[Event]) -> list[str]:
    return [str(event.data["state"]) for event in events if event.kind == "state"]


def text(events: list[Event]) -> str:
    return "".join(event.data["text"] for event in events if event.kind == "log")


def test_events_of_a_task_are_yielded_until_its_end(tmp_path: Path) -> None:
    with env_of(tmp_path, fail) as env:
        task = submit(env)
        events = list(task.events())
        assert states(events)[-2:] == ["RUNNING", "FAILED"]
        assert text(events) == "one\ntwo\nno luck\n"
        again = list(task.events())  # of an ended task, from the first one
        assert [(event.kind, event.data) for event in again] == [(event.kind, event.data) for event in events]


def test_events_are_yielded_while_the_task_runs(tmp_path: Path) -> None:
    release = threading.Event()

    def program(container: FakeContainer) -> int:
        assert release.wait(60)
        return add(container)

    with env_of(tmp_path, program) as env:
        found = []
        for event in submit(env).events():
            found.append(event)
            if event.data.get("state") == "RUNNING":
                release.set()
        assert states(found)[-1] == "FINISHED"


def test_the_whole_log_is_yielded(tmp_path: Path) -> None:
    lines = "".join(f"line {number}\n" for number in range(500))

    def program(container: FakeContainer) -> int:
        container.stdout.write(lines)
        return add(container)

    with env_of(tmp_path, program) as env:
        task = submit(env)
        task.wait()
        assert text(list(task.events())).startswith(lines)


def test_events_are_yielded_in_asyncio_next_to_other_tasks(tmp_path: Path) -> None:
    async def follow() -> tuple[list[Event], list[str]]:
        tasks = [submit(env, a=number) for number in range(3)]
        waits = [asyncio.ensure_future(task.wait_async()) for task in tasks]
        events = [event async for event in tasks[0].events()]
        return events, list(map(str, await asyncio.gather(*waits)))

    with env_of(tmp_path) as env:
        events, ends = asyncio.run(follow())
    assert states(events)[-1] == "FINISHED"
    assert ends == ["FINISHED"] * 3


def test_an_ended_task_is_not_waited_for_in_asyncio(tmp_path: Path) -> None:
    with env_of(tmp_path, fail) as env:
        task = submit(env)
        task.wait()
        assert asyncio.run(task.wait_async(0)) == "FAILED"


def test_a_wait_in_asyncio_can_time_out_or_be_cancelled_and_the_task_continues(tmp_path: Path) -> None:
    async def give_up() -> None:
        with pytest.raises(TimeoutError, match="has not ended after"):
            await task.wait_async(0.05)
        waiting = asyncio.ensure_future(task.wait_async())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async for event in task.events():
            if event.data.get("state") == "RUNNING":
                break

    with env_of(tmp_path, hang) as env:
        task = submit(env)
        asyncio.run(give_up())
        assert not task.is_terminal
        assert task.kill() == "KILLED"
