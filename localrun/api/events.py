"""The events of a task as they happen, for `for` and `async for`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from typing import Any

from localrun.api.interruption import explained
from localrun.console.display.replay import Replay
from localrun.task.events import Event
from localrun.task.workspace import Workspace

_POLL_INTERVAL = 0.1  # seconds; there is no portable notification for files of another process

End = futures.Future[Any]


class TaskEvents:
    """The events of a task from its submission to its end, as an iterable for each kind of loop.

    Every iteration starts at the first event.
    """

    def __init__(self, workspace: Workspace, wait: Callable[[], End], left_line: Callable[[], str]) -> None:
        self._workspace = workspace
        self._wait = wait
        self._left_line = left_line

    def __iter__(self) -> Iterator[Event]:
        replay, end = Replay(self._workspace, whole_log=True), self._wait()
        while True:
            last = end.done()  # checked before reading, so no event before the end is missed
            yield from replay.new_events()
            if last:
                end.result()
                return
            with explained(self._left_line):
                futures.wait([end], _POLL_INTERVAL)

    async def __aiter__(self) -> AsyncIterator[Event]:
        import asyncio

        replay = Replay(self._workspace, whole_log=True)
        end = asyncio.wrap_future(self._wait())
        while True:
            last = end.done()
            for event in replay.new_events():
                yield event
            if last:
                end.result()
                return
            await asyncio.wait([end], timeout=_POLL_INTERVAL)
