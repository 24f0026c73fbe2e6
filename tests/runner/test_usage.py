"""What a task's container uses, sample by sample."""

from __future__ import annotations

import threading
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

import pytest

from localrun.engines.base import Usage
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.errors import Cause, EngineError
from localrun.runner import usage as metrics
from localrun.runner.usage import (
    UsageFile,
    UsageSample,
    UsageSampler,
    aggregate,
    read_samples,
    with_current_usage,
)
from localrun.task.record import TaskRecord, UsageRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace
from tests.support.environment import make_environment
from tests.support.images import busybox_layer, image_archive

MIB = 1024**2


def use(memory: int, cpu: float = 0.0, moved: int = 0) -> Usage:
    return Usage(cpu, memory, memory, moved, 2 * moved, 1)


def sample(when: float, memory: int, cpu: float = 0.0) -> UsageSample:
    return UsageSample.of(use(memory, cpu), when)


# -- what samples come to -------------------------------------------------------------------------


def test_samples_come_to_their_highest_and_their_last() -> None:
    samples = [
        UsageSample.of(Usage(1.0, 10, 15, 1, 2, 1), 1.0),
        UsageSample.of(Usage(2.5, 7, 20, 3, 4, 5), 2.0),
    ]
    assert aggregate(samples) == UsageRecord(
        samples=2,
        cpu_seconds=2.5,
        memory_peak=10,
        memory_most=20,
        read_bytes=3,
        written_bytes=4,
        processes=5,
    )
    assert aggregate([]) is None


def test_a_file_that_was_torn_gives_the_samples_that_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    path.write_bytes(sample(1.0, 5).to_json() + b"\n" + b"nothing\n" + sample(2.0, 6).to_json()[:20])
    assert list(read_samples(path)) == [sample(1.0, 5)]
    assert list(read_samples(tmp_path / "none")) == []


def test_the_file_stays_small_however_long_a_task_runs_and_keeps_its_peak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_MOST", 40)
    path = tmp_path / "usage.jsonl"
    readings = UsageFile(path)
    for second in range(1000):
        readings.add(sample(second, 999 if second == 333 else second % 7, second / 10))
    readings.flush()
    found = list(read_samples(path))
    assert 10 <= len(found) < 40
    assert max(one.memory for one in found) == 999
    assert [one.time for one in found] == sorted(one.time for one in found)
    assert readings.total is not None
    assert (readings.total.samples, readings.total.memory_peak, readings.total.cpu_seconds) == (
        1000,
        999,
        99.9,
    )
    assert list(path.parent.iterdir()) == [path]


def test_who_takes_over_goes_on_where_the_other_ended(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    first = UsageFile(path)
    first.add(sample(1.0, 50, 1.0))
    second = UsageFile(path)
    second.load()
    second.add(sample(9.0, 20, 4.0))
    assert second.total is not None
    assert (second.total.samples, second.total.memory_peak, second.total.cpu_seconds) == (2, 50, 4.0)
    assert [one.time for one in read_samples(path)] == [1.0, 9.0]


@pytest.mark.parametrize("apart", [1, 4])
def test_who_takes_over_writes_as_often_as_the_other_did_however_long_nobody_was_there(
    tmp_path: Path, apart: int
) -> None:
    path = tmp_path / "usage.jsonl"
    path.write_bytes(b"".join(sample(apart * n, 1).to_json() + b"\n" for n in range(20)))
    readings = UsageFile(path)
    readings.load()
    for second in range(40):
        readings.add(sample(90_000.0 + second, 1))
    assert len(list(read_samples(path))) == 20 + 40 // apart


def test_where_there_is_no_room_the_sum_is_kept(tmp_path: Path) -> None:
    readings = UsageFile(tmp_path / "no folder" / "usage.jsonl")
    readings.add(sample(1.0, 50))
    assert readings.total is not None
    assert readings.total.memory_peak == 50


def test_of_a_task_that_runs_the_file_counts_which_is_newer_than_its_record(tmp_path: Path) -> None:
    workspace = TaskStore(tmp_path).create()
    workspace.create_dirs()
    first = UsageFile(workspace.usage)
    old = first.add(sample(1.0, 5))
    first.add(sample(2.0, 9))
    running = TaskRecord(id="i", bundle="b", state=TaskState.RUNNING, usage=old)
    ended = running.replace(state=TaskState.FINISHED)
    assert with_current_usage(workspace, running).usage == first.total
    assert with_current_usage(workspace, ended).usage == old
    workspace.usage.unlink()
    assert with_current_usage(workspace, running).usage == old


# -- a container ----------------------------------------------------------------------------------


class Grower:
    """A program that ends when it is told, and what it uses until then."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, container: FakeContainer) -> int:
        container.usage = use(8 * MIB, 2.0, 100)
        self.go.wait(20)
        return 0


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_FIRST", 0.0)


def test_a_running_task_is_measured_into_its_folder_and_its_record(tmp_path: Path, soon: None) -> None:
    program, engine = Grower(), FakeEngine()
    engine.program = program
    engine.usage_interval = 0.01
    with make_environment(tmp_path, engine=engine) as env:
        task = env.submit(values={"a": 1, "b": 2})
        path = task.workspace.usage
        while len(list(read_samples(path))) < 3:
            assert not program.go.wait(0.01)
        before = with_current_usage(task.workspace, task.workspace.load()).usage
        live = task.record.usage
        program.go.set()
        env.app.manager.wait(task)
        written = task.workspace.load().usage
    assert before is not None
    assert before.memory_peak == 8 * MIB
    assert live is not None
    assert live.samples >= 2
    assert written is not None
    assert (written.memory_peak, written.cpu_seconds, written.written_bytes) == (8 * MIB, 2.0, 200)
    assert written.samples == len(list(read_samples(path)))


def test_a_task_of_less_than_a_second_costs_no_thread_no_file_and_no_question(tmp_path: Path) -> None:
    class Asked(FakeEngine):
        def usage(self, handle: str) -> Generator[Usage, None, None]:
            raise AssertionError("nobody should ask")

    begun: list[str] = []

    def look(container: FakeContainer) -> None:
        begun.extend(thread.name for thread in threading.enumerate())

    engine = Asked(look)
    with make_environment(tmp_path, engine=engine) as env:
        ended = env.run(values={"a": 1, "b": 2})
    assert not [name for name in begun if name.startswith("meter")]
    assert ended.usage is None
    assert not (Path(ended.folder) / "logs/usage.jsonl").exists()


def test_no_thread_is_begun_before_the_first_second_is_over(tmp_path: Path) -> None:
    meter = UsageSampler(FakeEngine(), "x", tmp_path / "usage.jsonl", lambda *_: None)
    meter.on_tick()
    assert meter._thread is None
    meter._begun -= metrics._FIRST
    meter.on_tick()
    assert meter._thread is not None
    meter.close()


def test_where_no_thread_can_be_begun_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    meter = UsageSampler(FakeEngine(), "x", tmp_path / "usage.jsonl", lambda *_: None)
    meter._begun -= 2
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        meter.on_tick()
    assert meter._thread is None
    meter.on_tick()
    assert meter._thread is not None
    meter.close()


def test_the_measuring_ends_with_the_task_although_the_engine_is_silent(tmp_path: Path) -> None:
    class Silent(FakeEngine):
        """Answers nothing before it is told that nobody waits any more."""

        def __init__(self) -> None:
            super().__init__()
            self.asked, self.told = threading.Event(), threading.Event()

        def usage(self, handle: str) -> Generator[Usage, None, None]:
            self.asked.set()
            self.told.wait(20)
            raise EngineError("broken off", cause=Cause.ENGINE_LOST)
            yield

        def abandon(self, thread: int) -> None:
            self.told.set()

    engine = Silent()
    meter = UsageSampler(engine, "x", tmp_path / "usage.jsonl", lambda *_: None)
    meter._begun -= 2
    meter.on_tick()
    assert engine.asked.wait(10)
    assert meter.close() is None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("meter")]


def test_an_engine_that_comes_back_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_AGAIN", 0.01)

    class Back(FakeEngine):
        times = 0

        def usage(self, handle: str) -> Generator[Usage, None, None]:
            self.times += 1
            if self.times == 1:
                raise EngineError("away", cause=Cause.ENGINE_LOST)
            yield use(5)

    heard = threading.Event()
    meter = UsageSampler(Back(), "x", tmp_path / "usage.jsonl", lambda *_: heard.set())
    meter._begun -= 2
    meter.on_tick()
    assert heard.wait(10)
    total = meter.close()
    assert total is not None
    assert total.memory_peak == 5


def test_a_meter_goes_on_with_what_another_process_has_measured(tmp_path: Path) -> None:
    class Once(FakeEngine):
        def usage(self, handle: str) -> Generator[Usage, None, None]:
            yield use(5)

    path, heard = tmp_path / "usage.jsonl", threading.Event()
    UsageFile(path).add(sample(1.0, 50))
    meter = UsageSampler(Once(), "x", path, lambda *_: heard.set())
    meter._begun -= 2
    meter.on_tick()
    assert heard.wait(10)
    total = meter.close()
    assert total is not None
    assert (total.samples, total.memory_peak) == (2, 50)


def test_a_closed_meter_does_not_begin(tmp_path: Path) -> None:
    meter = UsageSampler(FakeEngine(), "x", tmp_path / "usage.jsonl", lambda *_: None)
    meter.close()
    meter._begun -= 2
    meter.on_tick()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("meter")]


@pytest.mark.docker
def test_what_a_real_container_uses_is_seen(docker_engine: DockerEngine, tmp_path: Path) -> None:
    name = f"localrun-test/user:{threading.get_ident()}"
    script = (
        "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done;"
        " dd if=/dev/zero of=/dev/shm/x bs=1M count=24 2>/dev/null; sleep 3.5; echo 1 > /outputs/sum"
    )
    docker_engine.load_image(
        [image_archive(busybox_layer({}), name, Cmd=["sh", "-c", script], Env=["PATH=/bin"])]
    )
    try:
        with make_environment(tmp_path, engine=docker_engine, image=name) as env:
            ended = env.run(values={"a": 1, "b": 2}, timeout=60)
    finally:
        docker_engine.remove_image(name)
    assert ended.state is TaskState.FINISHED, ended.message
    used = ended.usage
    assert used is not None
    assert 24 * MIB <= used.memory_peak <= 64 * MIB
    assert used.cpu_seconds > 0.01
    assert used.samples >= 2
    samples = list(read_samples(Workspace(Path(ended.folder)).usage))
    assert len(samples) == used.samples
    assert all(0.5 < later.time - one.time < 3 for one, later in pairwise(samples))
