"""Thousands of tasks leave nothing behind in the memory of a process, except what lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import localrun
from localrun.engines.fake import FakeContainer
from localrun.server.feed.event_feed import EventFeed
from tests.support.environment import make_environment
from tests.support.object_sizes import grown, object_sizes
from tests.support.server_client import ServerEnvironment, add, serve_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TASKS = 2000
KEPT = 20  # ended tasks and events in memory
FEW = 200  # more than those that are kept or still run
# an entry with a record for each task of the folder, and for each row of a batch that is shown
LISTS = ("localrun.server.listing.index.", "localrun.task.record.", "localrun.server.batches.rows.")


def check(run: Callable[[int], None], lists: tuple[str, ...] = ()) -> None:
    """Check that nothing grows with the number of tasks that `run` runs, except `lists`."""
    run(FEW)
    before = object_sizes()
    run(TASKS)
    found = grown(before, object_sizes(), FEW)
    assert {name: size for name, size in found.items() if not name.startswith(lists)} == {}
    assert found.get("localrun.task.record.TaskRecord", 0) <= TASKS + FEW


def program(container: FakeContainer) -> int:
    """Add. Every tenth task fails."""
    return 3 if container.path("/inputs/a").read_text().endswith("7") else add(container)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerEnvironment]:
    monkeypatch.setattr("localrun.server.state.EventFeed", lambda: EventFeed(kept=KEPT))
    with serve_environment(tmp_path, program, settings={"keep_completed": KEPT}) as made:
        yield made


def test_tasks_of_a_manager(tmp_path: Path) -> None:
    with make_environment(tmp_path, program, keep_completed=KEPT) as env:

        def run(count: int) -> None:
            tasks = []
            for number in range(count):
                tasks.append(env.submit(values={"a": number, "b": 1}))
                if len(tasks) > 8:
                    env.app.manager.wait(tasks.pop(0))
            for task in tasks:
                env.app.manager.wait(task)

        check(run)


def test_tasks_of_a_server(server: ServerEnvironment) -> None:
    client, bundle, image = server.client, server.env.bundle.name, server.env.image

    def run(count: int) -> None:
        for number in range(count):
            task = {"bundle": bundle, "image": image, "inputs": {"a": number, "b": 1}}
            made = client.post("/task", json={"task": task, "assigned_by": f"client {number}"}).json()
            client.get(f"/task/{made['task_id']}/wait", params={"timeout": 60})
            if number % 50 == 0:
                for path in (
                    "/task/list",
                    "/tasks",
                    *(f"/task/{made['task_id']}{one}" for one in ("/view", "/logs")),
                ):
                    assert client.get(path).status_code == 200

    check(run, LISTS)


def test_rows_of_a_batch_in_a_server(server: ServerEnvironment) -> None:
    client = server.client

    def run(count: int) -> None:
        body = {"bundle": server.env.bundle.name, "image": server.env.image}
        made = client.post("/batch", json={**body, "grid": {"a": list(range(count)), "b": [count]}}).json()
        path = f"/batch/{made['batch_id']}"
        while not client.get(f"{path}/wait", params={"timeout": 60}).json()["ended"]:
            pass
        assert client.get(f"{path}/rows").status_code == 200

    check(run, LISTS)


def test_rows_of_a_batch_in_python(tmp_path: Path) -> None:
    with make_environment(tmp_path, program, keep_completed=KEPT) as env, localrun.using(env.app):

        def run(count: int) -> None:
            grid = {"a": range(count), "b": [count]}
            batch = localrun.map(env.bundle, grid=grid, use_image=env.image, home=env.app.settings.home)
            assert sum(1 for _ in batch) == count

        check(run)
