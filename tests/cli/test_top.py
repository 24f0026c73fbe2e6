"""`localrun top`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from localrun.app import App
from localrun.cli import main
from localrun.engines.base import Usage
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.errors import EngineUnreachable
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.record import RunPlan, TaskRecord, UsageRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from tests.support.busybox_image import busybox_image
from tests.support.environment import Environment, make_environment
from tests.support.terminal import on_terminal

MIB = 1024**2


class Shared(FakeEngine):
    """An engine shared by two apps, which both try to close it."""

    def close(self) -> None:
        """Ignore the call."""


class Bench:
    """The command, and a folder with tasks that run until an event is set."""

    def __init__(self, env: Environment, capsys: pytest.CaptureFixture[str]) -> None:
        self.env = env
        self.capsys = capsys
        self.err = ""

    def __call__(self, *arguments: str) -> str:
        """Call `localrun top` and return its output."""
        home = str(self.env.app.settings.home)
        code = main(["--home", home, "top", *arguments], self.other)
        printed = self.capsys.readouterr()
        assert code == 0, printed.err
        self.err = printed.err
        return printed.out

    def other(self, settings: Settings) -> App:
        return App(settings, self.env.engine)


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """Return the event that the tasks wait for."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], go: threading.Event) -> Iterator[Bench]:
    def busy(container: FakeContainer) -> int:
        cpu, wait = 0.0, threading.Event()
        while not go.is_set() and not container.stopped.is_set():
            cpu += 0.01
            container.usage = Usage(cpu, 16 * MIB, None, 1024, 2048, 3)
            wait.wait(0.005)
        container.path("/outputs/sum").write_text("3")
        return 0

    engine = Shared(busy)
    engine.usage_interval = 0.05
    with make_environment(tmp_path, engine=engine) as env:
        yield Bench(env, capsys)
        go.set()


@contextmanager
def running(bench: Bench, count: int = 1) -> Iterator[list[ActiveTask]]:
    """Submit tasks and wait until all of them run."""
    begun = [threading.Event() for _ in range(count)]

    def listener(event: threading.Event) -> Callable[[Any], None]:
        return lambda told: event.set() if told.data.get("state") == "RUNNING" else None

    tasks = [bench.env.submit(values={"a": 1, "b": 2}, listener=listener(event)) for event in begun]
    assert all(event.wait(60) for event in begun)
    yield tasks


def test_each_running_task_has_a_row_with_its_speed_and_its_share(bench: Bench) -> None:
    with running(bench, 2) as tasks:
        rows = json.loads(bench("--json"))
    assert sorted(row["id"] for row in rows) == sorted(task.id for task in tasks)
    for row in rows:
        assert row["cpu_percent"] > 0
        assert (row["memory"], row["memory_limit"], row["pids"]) == (16 * MIB, 64 * MIB, 3)
        assert row["memory_peak"] == 16 * MIB
        assert (row["read_bytes"], row["written_bytes"]) == (1024, 2048)
        assert row["seconds"] >= 0


def test_the_table_is_printed_once_where_there_is_no_terminal(bench: Bench) -> None:
    with running(bench) as (task,):
        head, row = bench().splitlines()
        assert len(bench("--no-stream").splitlines()) == 2
    assert head.split()[:3] == ["ID", "NAME", "STATE"]
    cells = row.split()
    assert cells[0] == task.id[:8]
    assert "16 MiB" in row
    assert "25.0" in cells  # per cent of its memory


def test_a_task_that_is_named_may_have_ended(bench: Bench, go: threading.Event) -> None:
    with running(bench, 2) as (first, second):
        go.set()
        for task in (first, second):
            bench.env.app.manager.wait(task)
        usage = UsageRecord(
            samples=1,
            cpu_seconds=2.5,
            memory_peak=40 * MIB,
            memory_most=None,
            read_bytes=1,
            written_bytes=2,
            processes=1,
        )
        first.update(usage=usage)
        first.save()
        (row,) = json.loads(bench(first.id[:8], first.id[:8], "--json"))
    assert (row["state"], row["cpu_percent"], row["memory"]) == ("FINISHED", None, None)
    assert (row["memory_peak"], row["cpu_seconds"]) == (40 * MIB, 2.5)


def test_of_a_task_with_replicas_these_are_shown(bench: Bench) -> None:
    running = threading.Semaphore(0)

    def hear(told: Any) -> None:
        if told.data.get("state") == "RUNNING":
            running.release()

    task = bench.env.submit(values={"a": 1, "b": 2}, replicas=2, agree=2, listener=hear)
    assert running.acquire(timeout=60)
    ids = task.workspace.load().replication
    assert ids is not None
    rows = json.loads(bench(task.id, "--json"))
    assert [row["id"] for row in rows] == ids.ids[: len(rows)]
    assert rows[0]["replica"] == f"{task.id[:8]}/1"
    assert rows[0]["memory"] == 16 * MIB
    assert task.id not in [row["id"] for row in json.loads(bench("--json"))]


def test_where_nothing_runs_it_says_so_and_prints_no_row(bench: Bench) -> None:
    assert bench() == ""
    assert "no running tasks in this folder" in bench.err
    assert json.loads(bench("--json")) == []


def test_an_engine_that_does_not_answer_is_told_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away(Shared):
        def usage(self, handle: str) -> Generator[Usage, None, None]:
            raise EngineUnreachable("no container engine answers")
            yield

    with running(bench) as (task,):
        monkeypatch.setattr(bench, "other", lambda settings: App(settings, Away()))
        (row,) = json.loads(bench("--json"))
    assert (row["id"], row["memory"]) == (task.id, None)
    assert "warning: no container engine answers" in bench.err


def test_no_thread_stays(bench: Bench) -> None:
    with running(bench, 3):
        bench("--json")
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("top-")]


def test_on_a_terminal_it_goes_on_until_the_named_task_has_ended(tmp_path: Path) -> None:
    workspace = TaskStore(tmp_path / "home").create()
    task = ActiveTask(TaskRecord(id=workspace.id, bundle="b", name="slow", plan=RunPlan()), workspace)
    task.create()
    with on_terminal("--home", "home", "top", workspace.id[:6], cwd=tmp_path) as command:
        command.until("CREATED")
        task.transition(TaskState.FAILED, cause="INTERNAL")
        assert command.wait() == 0
    assert "FAILED" in command.shown.rpartition("\x1b[?1049l")[2]


@pytest.mark.docker
def test_a_real_container_is_measured_live(docker_engine: DockerEngine, tmp_path: Path) -> None:
    script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=20 2>/dev/null; while :; do :; done"
    begun = threading.Event()
    with (
        busybox_image(docker_engine, "sh", "-c", script) as name,
        make_environment(tmp_path, engine=docker_engine, image=name) as env,
    ):
        task = env.submit(
            values={"a": 1, "b": 2},
            cpus=0.5,
            listener=lambda told: begun.set() if told.data.get("state") == "RUNNING" else None,
        )
        assert begun.wait(60)
        with on_terminal("--home", ".localrun", "top", task.id, cwd=tmp_path) as command:
            command.until("RUNNING")
            command.until("20.")
            env.app.manager.kill(task, 0)
            env.app.manager.wait(task)
            assert command.wait() == 0
    assert "KILLED" in command.shown.rpartition("\x1b[?1049l")[2]
