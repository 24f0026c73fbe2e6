"""The threads that carry tasks: one for each task that runs or waits for admission."""

from __future__ import annotations

import threading
from collections.abc import Callable

from localrun.manager.registry import TaskRegistry
from localrun.task.active import ActiveTask
from localrun.task.lock import TaskLock


class Workers:
    """Carries tasks, each on a thread of its own, and knows which. Thread-safe."""

    def __init__(self, tasks: TaskRegistry) -> None:
        self._list = tasks
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}

    def run(self, task: ActiveTask, claim: TaskLock, way: Callable[[], None]) -> None:
        """Go the way of a task, which ends it, and let go of it then."""

        def carry() -> None:
            try:
                way()
            finally:
                self._let_go(task, claim)

        # a daemon: a process that is told to leave its tasks to the next one does not wait for them
        thread = threading.Thread(target=carry, name=f"task-{task.short_id}", daemon=True)
        with self._lock:
            self._threads[task.id] = thread
        self._list.add(task)
        thread.start()

    def _let_go(self, task: ActiveTask, claim: TaskLock) -> None:
        # a task that has not ended by now met a bug of ours, or a disk so full that its end could not be
        # written down; whoever looks next ends it
        ended = task.record.state.is_final
        if ended:
            self._list.complete(task.record)
        else:
            self._list.discard(task.id)
            task.abandon()
        claim.release(ended=ended and task.is_saved)
        with self._lock:
            self._threads.pop(task.id, None)

    def is_running(self, task: ActiveTask) -> bool:
        """Whether the task has not been let go of yet."""
        with self._lock:
            return task.id in self._threads

    def wait(self, task: ActiveTask, timeout: float | None = None) -> bool:
        """Block until the task has ended and was let go of; False when `timeout` seconds passed first."""
        with self._lock:
            thread = self._threads.get(task.id)
        if thread is None:
            return task.wait(timeout)
        thread.join(timeout)
        return not thread.is_alive()
