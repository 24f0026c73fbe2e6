"""The threads that run tasks: one for each task that runs or waits for admission."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from localrun.manager.registry import TaskRegistry
from localrun.task.active import ActiveTask
from localrun.task.lock import TaskLock
from localrun.task.states import TaskState

Item = TypeVar("Item")


class Workers:
    """Runs each task in a thread of its own. Thread-safe.

    `on_ended` is called with each task that has ended, after its lock is released.
    """

    def __init__(
        self, registry: TaskRegistry, on_ended: Callable[[ActiveTask], None] = lambda _: None
    ) -> None:
        self.registry = registry
        self._on_ended = on_ended
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}

    def run(self, task: ActiveTask, lock: TaskLock, body: Callable[[], None]) -> None:
        """Run `body`, which ends the task, in a new thread and release the task's lock afterwards."""

        def run() -> None:
            try:
                body()
            finally:
                self._release(task, lock)

        # a daemon: a process that leaves its tasks to the next one does not wait for them
        thread = threading.Thread(target=run, name=f"task-{task.short_id}", daemon=True)
        self.registry.add(task)
        try:
            with self._lock:  # a thread that others see can be joined
                thread.start()
                self._threads[task.id] = thread
        except BaseException:  # no memory for a thread: the caller decides what becomes of the task
            self.registry.discard(task.id)
            raise

    def _release(self, task: ActiveTask, lock: TaskLock) -> None:
        # a task that has not ended met an internal error or a full disk: the next process decides its fate
        ended = task.record.state.is_final
        if ended:
            self.registry.complete(task.record)
        else:
            self.registry.discard(task.id)
            task.abandon()
        lock.release(ended=ended and task.is_saved)
        try:
            if ended:
                self._on_ended(task)
        finally:
            with self._lock:
                self._threads.pop(task.id, None)

    def end(self, task: ActiveTask, lock: TaskLock, state: TaskState, **changes: Any) -> bool:
        """End a task that no thread runs; False if it has ended already."""
        had_ended = task.record.state.is_final
        try:
            if had_ended:
                return False
            task.transition(state, **changes)
            self.registry.complete(task.record)  # before a process that waits for the lock looks
        finally:  # an end that could not be saved is decided again by the next process
            lock.release(ended=had_ended or (task.record.state.is_final and task.is_saved))
        self._on_ended(task)
        return True

    def is_running(self, task: ActiveTask) -> bool:
        return self._thread(task) is not None

    def wait(self, task: ActiveTask, timeout: float | None = None) -> bool:
        """Block until the task has ended and its lock is released; False after `timeout` seconds."""
        if self._thread(task) is None and not task.wait(timeout):
            return False
        thread = self._thread(task)
        if thread is None:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _thread(self, task: ActiveTask) -> threading.Thread | None:
        with self._lock:
            return self._threads.get(task.id)


def in_parallel(call: Callable[[Item], object], items: Sequence[Item]) -> None:
    """Call a function with each item, in threads, and wait for all of them."""
    if len(items) == 1:
        call(items[0])
        return
    threads = []
    try:
        for item in items:
            thread = threading.Thread(target=call, args=(item,), name="parallel")
            try:
                thread.start()
                threads.append(thread)
            except (RuntimeError, MemoryError):  # too many threads
                call(item)
    finally:
        for thread in threads:
            thread.join()
