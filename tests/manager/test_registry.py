from __future__ import annotations

import threading
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from localrun.manager.registry import TaskRegistry
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace


def task(name: str) -> ActiveTask:
    return ActiveTask(TaskRecord(id=name, bundle=""), Workspace(Path("/nowhere") / name))


def test_a_task_is_active_until_it_is_completed() -> None:
    tasks = TaskRegistry(keep=10)
    one = task("a")
    tasks.add(one)
    assert (tasks.find("a"), tasks.find_completed("a"), tasks.counts()) == (one, None, (1, 0))
    tasks.complete(one.record)
    assert (tasks.find("a"), tasks.find_completed("a"), tasks.counts()) == (None, one.record, (0, 1))


def test_the_oldest_of_too_many_completed_tasks_is_forgotten_but_counted() -> None:
    tasks = TaskRegistry(keep=2)
    for name in "abc":
        tasks.complete(task(name).record)
    assert ([record.id for record in tasks.completed()], tasks.counts()) == (["b", "c"], (0, 3))


def test_completing_twice_counts_once() -> None:
    tasks = TaskRegistry(keep=2)
    for _ in range(2):
        tasks.complete(task("a").record)
    assert tasks.counts() == (0, 1)


def test_a_list_is_a_copy() -> None:
    tasks = TaskRegistry(keep=2)
    tasks.add(task("a"))
    tasks.active().clear()
    assert len(tasks.active()) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 15), min_size=1, max_size=12), min_size=2, max_size=4))
def test_no_task_is_lost_or_listed_twice_under_threads(work: list[list[int]]) -> None:
    tasks = TaskRegistry(keep=1000)
    begin = threading.Barrier(len(work))

    def worker(number: int, steps: list[int]) -> None:
        begin.wait()
        for step, choice in enumerate(steps):
            one = task(f"{number}-{step}")
            tasks.add(one)
            if choice % 2:
                tasks.complete(one.record)

    threads = [threading.Thread(target=worker, args=item) for item in enumerate(work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [one.id for one in tasks.active()] + [record.id for record in tasks.completed()]
    assert sorted(names) == sorted(f"{n}-{s}" for n, steps in enumerate(work) for s in range(len(steps)))
    assert sum(tasks.counts()) == len(names)
