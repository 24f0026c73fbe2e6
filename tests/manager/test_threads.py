"""The manager with many concurrent clients: no task is lost or listed twice."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localrun.app import App
from localrun.errors import UsageError
from localrun.settings import Settings

ACTIONS = st.sampled_from(["create", "same", "complete", "kill", "list", "find"])


class Client(threading.Thread):
    """Run the actions of one client on the tasks of all clients."""

    def __init__(self, app: App, number: int, actions: list[str], begin: threading.Barrier) -> None:
        super().__init__(name=f"client-{number}")
        self.app = app
        self.number = number
        self.actions = actions
        self.begin = begin
        self.made: list[str] = []
        self.wrong: list[str] = []

    def run(self) -> None:
        self.begin.wait(60)
        for step, action in enumerate(self.actions):
            with suppress(UsageError):  # another client was faster
                self.act(action, step)

    def act(self, action: str, step: int) -> None:
        manager = self.app.manager
        if action == "create":
            self.made.append(manager.create_task({"client": self.number, "step": step}, f"{self.number}").id)
        elif action == "same":
            self.made.append(manager.create_task({"shared": True}, "all", task_id="shared").id)
        elif action == "list":
            ids = [record.id for record in manager.active_tasks]
            if len(ids) != len(set(ids)):
                self.wrong.append(f"listed twice: {ids}")
        elif self.made:
            self.end(action, self.made[-1])

    def end(self, action: str, task_id: str) -> None:
        manager = self.app.manager
        if action == "complete":
            manager.complete_task(task_id)
        elif action == "kill":
            manager.kill_task(task_id)
        elif manager.find_task(task_id) is None:
            self.wrong.append(f"lost: {task_id}")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(ACTIONS, min_size=1, max_size=15), min_size=2, max_size=4))
def test_no_task_is_lost_listed_twice_or_miscounted(
    tmp_path_factory: pytest.TempPathFactory, work: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("threads")
    app = App(Settings(home=folder / "home", cache=folder / "cache", keep_completed=10_000))
    begin = threading.Barrier(len(work))
    clients = [Client(app, number, actions, begin) for number, actions in enumerate(work)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert [wrong for client in clients for wrong in client.wrong] == []
    made = {task_id for client in clients for task_id in client.made}
    active = [record.id for record in app.manager.active_tasks]
    ended = [record.id for record in app.manager.completed_tasks]
    assert sorted([*active, *ended]) == sorted(made)
    assert app.manager.get_status()["total_tasks_processed"] == len(made)
    assert sorted(app.store.active_ids()) == sorted(active)
    on_disk = {record.id: record.state.is_final for record in app.tasks()}
    assert on_disk == {**dict.fromkeys(active, False), **dict.fromkeys(ended, True)}
