"""Sampling of a container's resource usage."""

from __future__ import annotations

import re
import threading
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

import pytest

from localrun.console.usage import format_usage
from localrun.engines.base import Usage
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.errors import Cause, EngineError
from localrun.runner import usage as sampling
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
from tests.support.busybox_image import busybox_image
from tests.support.environment import make_environment

MIB = 1024**2


def use(memory: int, cpu: float = 0.0, moved: int = 0) -> Usage:
    return Usage(cpu, memory, memory, moved, 2 * moved, 1)


def sample(when: float, memory: int, cpu: float = 0.0) -> UsageSample:
    return UsageSample.of(use(memory, cpu), when)


# -- totals of samples ---------------------------------------------------------------------------


def test_totals_are_the_highest_memory_and_the_last_counters() -> None:
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


def test_incomplete_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    path.write_bytes(sample(1.0, 5).to_json() + b"\n" + b"nothing\n" + sample(2.0, 6).to_json()[:20])
    assert list(read_samples(path)) == [sample(1.0, 5)]
    assert list(read_samples(tmp_path / "none")) == []


def test_the_file_of_a_long_task_stays_small_and_keeps_the_peak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "_MAX_LINES", 40)
    path = tmp_path / "usage.jsonl"
    file = UsageFile(path)
    for second in range(1000):
        file.add(sample(second, 999 if second == 333 else second % 7, second / 10))
    file.flush()
    found = list(read_samples(path))
    assert 10 <= len(found) < 40
    assert max(one.memory for one in found) == 999
    assert [one.time for one in found] == sorted(one.time for one in found)
    assert file.total is not None
    assert (file.total.samples, file.total.memory_peak, file.total.cpu_seconds) == (
        1000,
        999,
        99.9,
    )
    assert list(path.parent.iterdir()) == [path]


def test_a_process_that_resumes_a_task_continues_its_file(tmp_path: Path) -> None:
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
def test_a_process_that_resumes_a_task_keeps_the_interval_of_the_file(tmp_path: Path, apart: int) -> None:
    path = tmp_path / "usage.jsonl"
    path.write_bytes(b"".join(sample(apart * n, 1).to_json() + b"\n" for n in range(20)))
    file = UsageFile(path)
    file.load()
    for second in range(40):
        file.add(sample(90_000.0 + second, 1))
    assert len(list(read_samples(path))) == 20 + 40 // apart


def test_the_totals_are_kept_if_the_disk_is_full(tmp_path: Path) -> None:
    file = UsageFile(tmp_path / "no folder" / "usage.jsonl")
    file.add(sample(1.0, 50))
    assert file.total is not None
    assert file.total.memory_peak == 50


def test_the_file_is_newer_than_the_record_of_a_running_task(tmp_path: Path) -> None:
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
    """A program that runs until it is released, with growing usage."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, container: FakeContainer) -> int:
        container.usage = use(8 * MIB, 2.0, 100)
        self.go.wait(60)
        return 0


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_DELAY", 0.0)


def test_a_running_task_is_sampled_into_its_folder_and_its_record(tmp_path: Path, soon: None) -> None:
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


def test_a_task_of_less_than_a_second_costs_no_thread_file_or_request(tmp_path: Path) -> None:
    class Asked(FakeEngine):
        def usage(self, handle: str) -> Generator[Usage, None, None]:
            raise AssertionError("must not be called")

    begun: list[str] = []

    def look(container: FakeContainer) -> None:
        begun.extend(thread.name for thread in threading.enumerate())

    engine = Asked(look)
    with make_environment(tmp_path, engine=engine) as env:
        ended = env.run(values={"a": 1, "b": 2})
    assert not [name for name in begun if name.startswith("sampler")]
    assert ended.usage is None
    assert not (Path(ended.folder) / "logs/usage.jsonl").exists()


def test_no_thread_is_started_in_the_first_second(tmp_path: Path) -> None:
    sampler = UsageSampler(FakeEngine(), "x", tmp_path / "usage.jsonl", lambda *_: None)
    sampler.on_tick()
    assert sampler._thread is None
    sampler._started -= sampling._DELAY
    sampler.on_tick()
    assert sampler._thread is not None
    sampler.close()


def test_a_failed_thread_start_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sampler = UsageSampler(FakeEngine(), "x", tmp_path / "usage.jsonl", lambda *_: None)
    sampler._started -= 2
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        sampler.on_tick()
    assert sampler._thread is None
    sampler.on_tick()
    assert sampler._thread is not None
    sampler.close()


def test_sampling_ends_with_the_task_even_if_the_engine_is_silent(tmp_path: Path) -> None:
    class Silent(FakeEngine):
        """Block until the call is abandoned."""

        def __init__(self) -> None:
            super().__init__()
            self.asked, self.told = threading.Event(), threading.Event()

        def usage(self, handle: str) -> Generator[Usage, None, None]:
            self.asked.set()
            self.told.wait(60)
            raise EngineError("broken off", cause=Cause.ENGINE_LOST)
            yield

        def abandon(self, thread: int) -> None:
            self.told.set()

    engine = Silent()
    sampler = UsageSampler(engine, "x", tmp_path / "usage.jsonl", lambda *_: None)
    sampler._started -= 2
    sampler.on_tick()
    assert engine.asked.wait(60)
    assert sampler.close() is None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sampler")]


def test_sampling_continues_when_the_engine_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "_RETRY_INTERVAL", 0.01)

    class Back(FakeEngine):
        times = 0

        def usage(self, handle: str) -> Generator[Usage, None, None]:
            self.times += 1
            if self.times == 1:
                raise EngineError("away", cause=Cause.ENGINE_LOST)
            yield use(5)

    heard = threading.Event()
    sampler = UsageSampler(Back(), "x", tmp_path / "usage.jsonl", lambda *_: heard.set())
    sampler._started -= 2
    sampler.on_tick()
    assert heard.wait(60)
    total = sampler.close()
    assert total is not None
    assert total.memory_peak == 5


def test_a_sampler_continues_the_samples_of_another_process(tmp_path: Path) -> None:
    class Once(FakeEngine):
        def usage(self, handle: str) -> Generator[Usage, None, None]:
            yield use(5)

    path, heard = tmp_path / "usage.jsonl", threading.Event()
    UsageFile(path).add(sample(1.0, 50))
    sampler = UsageSampler(Once(), "x", path, lambda *_: heard.set())
    sampler._started -= 2
    sampler.on_tick()
    assert heard.wait(60)
    total = sampler.close()
    assert total is not None
    assert (total.samples, total.memory_peak) == (2, 50)


def test_a_closed_sampler_does_not_start(tmp_path: Path) -> None:
    sampler = UsageSampler(FakeEngine(), "x", tmp_path / "usage.jsonl", lambda *_: None)
    sampler.close()
    sampler._started -= 2
    sampler.on_tick()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sampler")]


def test_a_control_group_is_read_from_the_start_and_costs_no_file_in_the_first_second(tmp_path: Path) -> None:
    class Measured(FakeEngine):
        """An engine whose container needs more memory each time, and ends at the third look."""

        looks = 0

        def measure(self, handle: str) -> Usage | None:
            self.looks += 1
            return use(self.looks * MIB, 0.1 * self.looks) if self.looks < 4 else None

        def usage(self, handle: str) -> Generator[Usage, None, None]:
            raise AssertionError("must not be called")

    engine, path = Measured(), tmp_path / "usage.jsonl"
    sampler = UsageSampler(engine, "x", path, lambda *_: None)
    sampler.start()
    assert sampler._thread is not None
    sampler._thread.join(60)
    sampler._started += 60  # however slow this machine is
    total = sampler.close()
    assert total is not None
    assert (total.samples, total.memory_peak, path.exists()) == (3, 3 * MIB, False)


def test_a_container_that_is_not_visible_here_is_measured_by_the_engine(tmp_path: Path) -> None:
    class Elsewhere(FakeEngine):
        def measure(self, handle: str) -> None:
            return None

    sampler = UsageSampler(Elsewhere(), "x", tmp_path / "usage.jsonl", lambda *_: None)
    sampler.start()
    assert sampler._thread is None


def test_direct_samples_are_counted_and_have_one_line_a_second(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    file = UsageFile(path)
    for number in range(50):
        (file.add if number % 10 == 9 else file.count)(sample(number / 10, 99 if number == 42 else 1))
    assert file.total is not None
    assert (file.total.samples, file.total.memory_peak) == (50, 99)
    assert [one.memory for one in read_samples(path)] == [1, 1, 1, 1, 99]


@pytest.mark.docker
def test_a_real_container_is_sampled(docker_engine: DockerEngine, tmp_path: Path) -> None:
    script = (
        "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done;"
        " dd if=/dev/zero of=/dev/shm/x bs=1M count=24 2>/dev/null; sleep 3.5; echo 1 > /outputs/sum"
    )
    with (
        busybox_image(docker_engine, "sh", "-c", script) as name,
        make_environment(tmp_path, engine=docker_engine, image=name) as env,
    ):
        ended = env.run(values={"a": 1, "b": 2}, timeout=60)
    assert ended.state is TaskState.FINISHED, ended.message
    used = ended.usage
    if "memory" in ended.unenforced:  # a rootless engine without control groups measures the machine
        assert used is None
        return
    assert used is not None
    assert 24 * MIB <= used.memory_peak <= 64 * MIB
    assert used.cpu_seconds > 0.01
    assert used.samples >= 2
    samples = list(read_samples(Workspace(Path(ended.folder)).usage))
    assert 2 <= len(samples) <= used.samples  # a control group is read more often than there are lines
    assert all(later.time > one.time for one, later in pairwise(samples))


@pytest.mark.docker
def test_a_short_task_shows_its_peak_memory_and_limit(docker_engine: DockerEngine, tmp_path: Path) -> None:
    # the file is read by no one: its pages count as memory in use until the end
    script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=24 2>/dev/null; sleep 0.3; echo 1 > /outputs/sum"
    with (
        busybox_image(docker_engine, "sh", "-c", script) as name,
        make_environment(tmp_path, engine=docker_engine, image=name) as env,
    ):
        ended = env.run(values={"a": 1, "b": 2}, timeout=60)
    if "memory" in ended.unenforced:
        pytest.skip("the engine has no control groups")
    assert ended.usage is not None
    assert 24 * MIB <= ended.usage.memory_peak <= 64 * MIB
    assert re.match(r"peak memory 2\d(\.\d)? MiB of 64 MiB \(\d+ %\)", format_usage(ended))
