"""Admission: no over-commit, no starvation, prompt wakeups, no leftovers."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any
from unittest.mock import Mock

import pytest

from localrun.admission import Admission, Capacity, Disk, HostSample
from localrun.errors import AdmissionError, TaskKilled
from localrun.task.record import Resources

GI = 1024**3
MACHINE = Capacity(cpus=8, memory=int(23.5 * GI), gpus=1)
HALF = Resources(memory=12 * GI)
NEVER = 1000.0  # seconds between polls: any wakeup was a signal

CHILD = """
import sys
from pathlib import Path
from localrun.admission import Admission, Capacity
from localrun.task.record import Resources

admission = Admission(Path(sys.argv[1]), Capacity(8, int(23.5 * 1024**3)), [], interval=float(sys.argv[3]))
report = lambda reason, data: print(reason, flush=True)
with admission.acquire(sys.argv[2], Resources(memory=12 * 1024**3), on_wait=report):
    print("started", flush=True)
    sys.stdin.read()
print("ended", flush=True)
"""

CROWD = """
import sys
from pathlib import Path
from localrun.admission import Admission, Capacity
from localrun.task.record import Resources

admission = Admission(Path(sys.argv[1]), Capacity(2.0, 1024), [])
for turn in range(25):
    with admission.acquire(f"{sys.argv[2]}-{turn}", Resources(cpus=0.8, memory=1)):
        held = sum(entry.cpus for entry in admission.snapshot().running)
        assert held <= 2.0, held
"""


class Host:
    """A host whose disk can be filled."""

    def __init__(self, disk: float = 50.0, free: int = 100 * GI) -> None:
        self.disk = disk
        self.free = free
        self.looks = 0

    def __call__(self, _disks: Sequence[Path]) -> HostSample:
        self.looks += 1
        return HostSample(0.0, 100, 50, {"/": Disk(0, 1, self.free, self.disk)})


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.json"


@pytest.fixture
def gate(ledger: Path) -> Admission:
    return Admission(ledger, MACHINE, [], sampler=Host(), interval=NEVER)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


class Waiter:
    """A task that waits in its own thread."""

    def __init__(self, pool: ThreadPoolExecutor, gate: Admission, task_id: str, asked: Resources) -> None:
        self.reasons: Queue[str] = Queue()
        self.cancelled = threading.Event()
        self.result: Future[Any] = pool.submit(
            gate.acquire, task_id, asked, on_wait=self._waiting, check_cancelled=self._check
        )

    def _waiting(self, reason: str, _data: dict[str, Any]) -> None:
        self.reasons.put(reason)

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise TaskKilled("stop")

    def reason(self) -> str:
        return self.reasons.get(timeout=60)


@pytest.fixture
def child(ledger: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(task_id: str, every: float = NEVER) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(ledger), task_id, str(every)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def running(gate: Admission) -> list[str]:
    return [entry.task_id for entry in gate.snapshot().running]


def waiting(gate: Admission) -> list[str]:
    return [entry.task_id for entry in gate.snapshot().waiting]


def test_a_task_that_fits_starts_at_once_and_is_told_nothing(gate: Admission) -> None:
    told: list[str] = []
    with gate.acquire("a", HALF, on_wait=lambda reason, _: told.append(reason)):
        assert running(gate) == ["a"]
    assert running(gate) == []
    assert told == []


def test_a_reservation_may_be_released_twice(gate: Admission) -> None:
    first = gate.acquire("a", HALF)
    first.release()
    second = gate.acquire("a", HALF)
    first.release()
    assert running(gate) == ["a"]
    second.release()


def test_memory_that_is_promised_is_not_there_for_another(
    gate: Admission, threads: ThreadPoolExecutor
) -> None:
    first = gate.acquire("a", HALF)
    second = Waiter(threads, gate, "b", HALF)
    assert second.reason() == (
        "0/1 nodes are available: 1 Insufficient memory (requested 12Gi, free 11.5Gi of 23.5Gi)"
    )
    assert waiting(gate) == ["b"]
    first.release()
    second.result.result(timeout=60).release()
    assert waiting(gate) == []


def test_a_task_behind_others_joins_the_queue_with_one_change_of_the_ledger(
    gate: Admission, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = gate.acquire("a", Resources(memory=MACHINE.memory))
    waiters = [Waiter(threads, gate, "b", HALF)]
    waiters[0].reason()
    claim = Mock(wraps=gate._claim)
    monkeypatch.setattr(gate, "_claim", claim)
    waiters.append(Waiter(threads, gate, "c", HALF))
    waiters[1].reason()
    assert [call.args[0] for call in claim.call_args_list].count("c") == 1
    first.release()
    for waiter in waiters:
        waiter.result.result(timeout=60).release()
    assert gate.snapshot() == ((), ())


def test_a_release_wakes_all_that_fit_then(gate: Admission, threads: ThreadPoolExecutor) -> None:
    all_of_it = gate.acquire("a", Resources(memory=MACHINE.memory))
    waiters = [Waiter(threads, gate, name, Resources(memory=GI)) for name in "bcdef"]
    for waiter in waiters:
        waiter.reason()
    all_of_it.release()
    for waiter in waiters:
        waiter.result.result(timeout=60).release()
    assert gate.snapshot() == ((), ())


def test_a_big_task_is_not_starved_by_small_ones(gate: Admission, threads: ThreadPoolExecutor) -> None:
    small = [gate.acquire(f"small-{count}", Resources(memory=6 * GI)) for count in range(3)]
    big = Waiter(threads, gate, "big", Resources(memory=20 * GI))
    big.reason()
    later = Waiter(threads, gate, "later", Resources(memory=GI))
    assert later.reason() == ("0/1 nodes are available: task big came first and waits for 20Gi memory")
    for reservation in small:
        reservation.release()
    with big.result.result(timeout=60):
        assert "big" in running(gate)
    later.result.result(timeout=60).release()


def test_a_task_without_gpu_is_not_held_up_by_one_that_waits_for_the_gpu(
    gate: Admission, threads: ThreadPoolExecutor
) -> None:
    gpu = Resources(gpus=1, memory=GI)
    with gate.acquire("first", gpu):
        second = Waiter(threads, gate, "second", gpu)
        second.reason()
        gate.acquire("without", Resources(memory=GI)).release()
    second.result.result(timeout=60).release()


def test_one_that_is_cancelled_leaves_the_line_and_lets_the_next_go(
    gate: Admission, threads: ThreadPoolExecutor
) -> None:
    with gate.acquire("a", HALF):
        big = Waiter(threads, gate, "big", Resources(memory=20 * GI))
        big.reason()
        small = Waiter(threads, gate, "small", Resources(memory=GI))
        small.reason()
        big.cancelled.set()
        gate.wake("big")
        with pytest.raises(TaskKilled):
            big.result.result(timeout=60)
        small.result.result(timeout=60).release()
    assert gate.snapshot() == ((), ())


def test_one_that_is_cancelled_before_it_begins_is_never_in_the_ledger(gate: Admission, ledger: Path) -> None:
    def cancelled() -> None:
        raise TaskKilled("stop")

    with pytest.raises(TaskKilled):
        gate.acquire("a", HALF, check_cancelled=cancelled)
    assert not ledger.exists()


def test_what_can_never_fit_is_refused_and_not_queued(gate: Admission) -> None:
    for refuse in (gate.check, gate.acquire):
        with pytest.raises(AdmissionError, match=r"requested 64Gi of memory, but this machine has 23\.5Gi"):
            refuse("a", Resources(memory=64 * GI))
    assert gate.snapshot() == ((), ())


def test_disk_pressure_holds_tasks_up_until_it_is_well_below_the_limit(
    ledger: Path, threads: ThreadPoolExecutor
) -> None:
    host = Host(disk=93.0)
    gate = Admission(ledger, MACHINE, [], sampler=host, interval=0.01)
    waiter = Waiter(threads, gate, "a", HALF)
    assert waiter.reason() == "disk-pressure: / is 93 % full, limit 90 %"
    host.disk = 89.0
    assert waiter.reason() == "disk-pressure: / is 89 % full, limit 90 %, tasks resume below 88 %"
    host.disk = 87.0
    waiter.result.result(timeout=60).release()


def test_a_newcomer_is_held_up_by_the_pressure_for_which_another_waits(
    ledger: Path, threads: ThreadPoolExecutor
) -> None:
    host = Host(disk=93.0)
    gate = Admission(ledger, MACHINE, [], sampler=host, interval=0.01)
    first = Waiter(threads, gate, "a", HALF)
    first.reason()
    host.disk = 89.0
    first.reason()
    second = Waiter(threads, Admission(ledger, MACHINE, [], sampler=host, interval=0.01), "b", Resources())
    assert "is 89 % full" in second.reason()
    host.disk = 50.0
    first.result.result(timeout=60).release()
    second.result.result(timeout=60).release()


def test_the_host_is_not_looked_at_more_often_than_agreed(ledger: Path) -> None:
    host = Host()
    gate = Admission(ledger, MACHINE, [], sampler=host, interval=NEVER)
    for count in range(10):
        gate.acquire(str(count), Resources()).release()
    assert host.looks == 1


def test_a_damaged_ledger_forgets_nothing_that_lives(
    gate: Admission, ledger: Path, threads: ThreadPoolExecutor
) -> None:
    first = gate.acquire("a", HALF)
    ledger.write_text("{broken")
    second = Waiter(threads, gate, "b", HALF)
    assert "Insufficient memory" in second.reason()
    first.release()
    second.result.result(timeout=60).release()


def test_a_damaged_ledger_is_told(ledger: Path) -> None:
    told: list[str] = []
    gate = Admission(ledger, MACHINE, [], sampler=Host(), on_event=lambda kind, data: told.append(kind))
    ledger.parent.mkdir()
    ledger.write_text("{broken")
    gate.acquire("a", HALF).release()
    assert told == ["ledger-damaged"]


def test_what_could_not_be_given_back_is_given_back_later(gate: Admission, ledger: Path) -> None:
    first = gate.acquire("a", HALF)
    moved = ledger.parent.rename(ledger.parent.with_name("moved"))
    ledger.parent.touch()  # not a folder any more: nothing can be written
    first.release()
    ledger.parent.unlink()
    moved.rename(ledger.parent)
    assert running(gate) == ["a"]
    gate.acquire("b", HALF).release()
    assert running(gate) == []


def test_an_adopted_task_is_written_down_even_where_it_does_not_fit(gate: Admission) -> None:
    with gate.acquire("a", HALF), gate.adopt("b", HALF):
        assert running(gate) == ["a", "b"]
    assert running(gate) == []


def test_a_release_in_one_process_wakes_one_that_waits_in_another(
    child: Callable[..., subprocess.Popen[str]],
) -> None:
    first, second = child("a"), None
    assert line(first) == "started"
    second = child("b")
    assert "Insufficient memory" in line(second)
    first.communicate("")
    assert line(second) == "started"


def test_what_a_killed_process_held_is_free_at_the_next_look(
    child: Callable[..., subprocess.Popen[str]],
) -> None:
    first = child("a")
    assert line(first) == "started"
    second = child("b", every=0.05)
    assert "Insufficient memory" in line(second)
    first.send_signal(signal.SIGKILL)
    assert line(second) == "started"


def test_a_waiter_that_is_killed_holds_nobody_up(
    child: Callable[..., subprocess.Popen[str]], gate: Admission
) -> None:
    with gate.acquire("a", HALF):
        waiter = child("b")
        assert "Insufficient memory" in line(waiter)
        waiter.kill()
        waiter.wait()
        gate.acquire("c", Resources(memory=GI)).release()
    assert gate.snapshot() == ((), ())


def test_processes_that_come_and_go_never_promise_more_than_there_is(ledger: Path) -> None:
    crowd = [subprocess.Popen([sys.executable, "-c", CROWD, str(ledger), str(number)]) for number in range(4)]
    assert [process.wait(60) for process in crowd] == [0, 0, 0, 0]
    assert Admission(ledger, MACHINE, []).snapshot() == ((), ())


def test_a_place_in_the_line_is_held_from_the_moment_it_is_taken(tmp_path: Path) -> None:
    gate = Admission(tmp_path / "ledger" / "l.json", Capacity(cpus=1, memory=GI), [])
    gate.enqueue("first", Resources(cpus=1, memory=1))
    gate.enqueue("second", Resources(cpus=1, memory=1))
    assert [entry.task_id for entry in gate.snapshot().waiting] == ["first", "second"]
    first = gate.acquire("first", Resources(cpus=1, memory=1))
    assert [entry.task_id for entry in gate.snapshot().waiting] == ["second"]
    first.release()
    gate.acquire("second", Resources(cpus=1, memory=1)).release()
    assert gate.snapshot() == ((), ())


def test_a_place_that_was_taken_for_a_cancelled_task_is_given_up(tmp_path: Path) -> None:
    gate = Admission(tmp_path / "ledger" / "l.json", Capacity(cpus=1, memory=GI), [])
    gate.enqueue("a", Resources(cpus=1, memory=1))

    def cancelled() -> None:
        raise TaskKilled("stopped")

    with pytest.raises(TaskKilled):
        gate.acquire("a", Resources(cpus=1, memory=1), check_cancelled=cancelled)
    assert gate.snapshot() == ((), ())
