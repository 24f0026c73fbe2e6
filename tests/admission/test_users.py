"""The ledgers of several users: each writes its own, and trusts those of others only as far as proven."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest

from localrun.admission import Admission, Capacity, LedgerEntry, machine_ledger_path, users
from localrun.admission.ledger import Ledger
from localrun.task.process import current_process
from localrun.task.record import ProcessId, Resources
from tests.conftest import OtherUser, skip_or_fail

OTHER = 54321  # an unprivileged user
GI = 1024**3
NO_MEMORY = "0/1 nodes are available: 1 Insufficient memory"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all ledgers of a machine."""
    folder = tmp_path / "shm"
    folder.mkdir()
    monkeypatch.setattr(users, "base_folder", lambda: folder)
    return folder


@pytest.fixture
def other_process() -> Iterator[ProcessId]:
    """A living process of another user."""
    if os.geteuid() != 0:
        skip_or_fail("only root can start a process of another user")
    with subprocess.Popen(["sleep", "600"], user=OTHER) as process:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        mine = current_process()
        yield ProcessId(host=mine.host, pid=process.pid, started=started, boot=mine.boot)
        process.kill()


class StoppedError(Exception):
    """Ends the wait of a test."""


def entry(owner: ProcessId, task_id: str = "theirs", ticket: int = 1) -> LedgerEntry:
    return LedgerEntry(
        task_id=task_id,
        ticket=ticket,
        admitted=True,
        owner=owner,
        since=time.time(),
        cpus=1,
        memory=6 * GI,
        gpus=0,
    )


def write(folder: Path, *entries: LedgerEntry, mode: int = 0o755) -> Path:
    """Write a ledger as the other user would."""
    folder.mkdir(exist_ok=True)
    path = folder / "local.json"
    path.write_bytes(msgspec.json.encode({each.task_id: each for each in entries}))
    os.chown(path, OTHER, OTHER)
    os.chown(folder, OTHER, OTHER)
    folder.chmod(mode)
    return path


def seen(base: Path) -> list[tuple[int, str]]:
    """Return the user and the id of all entries of other users."""
    own = base / f"localrun-{os.geteuid()}" / "local.json"
    return [(each.uid, each.task_id) for each in users.entries_of_others(own)]


def gate() -> Admission:
    return Admission(machine_ledger_path(), Capacity(8, 10 * GI), [])


def first_reason(admission: Admission) -> str:
    """Request 6 GiB, and return why the task has to wait."""
    reasons: list[str] = []

    def stop() -> None:
        if reasons:
            raise StoppedError

    with pytest.raises(StoppedError):
        admission.acquire(
            "mine", Resources(memory=6 * GI), on_wait=lambda why, _: reasons.append(why), check_cancelled=stop
        )
    return reasons[0]


def unseen_at_first(path: Path, remove_at: int = 0) -> Callable[[Path], list[LedgerEntry]]:
    """Return a reader of others' entries that finds none the first time.

    `remove_at` is the number of the call at which `path` is deleted before.
    """
    calls = 0
    read = users.entries_of_others

    def entries(own: Path) -> list[LedgerEntry]:
        nonlocal calls
        calls += 1
        if calls == remove_at:
            path.unlink()
        return read(own) if calls > 1 else []

    return entries


def test_each_user_has_a_folder_that_only_they_can_change(base: Path) -> None:
    path = machine_ledger_path()
    umask = os.umask(0o077)
    try:
        with Ledger(path, pytest.fail).transaction() as txn:
            txn.put(txn.new_entry("a", Resources()))
    finally:
        os.umask(umask)
    assert path == base / f"localrun-{os.geteuid()}" / "local.json"
    assert path.parent.stat().st_mode & 0o777 == 0o755
    assert path.stat().st_mode & 0o777 == 0o644
    assert (path.parent / "local.json.lock").stat().st_mode & 0o777 == 0o600


def test_engines_of_other_machines_have_ledgers_of_their_own(base: Path) -> None:
    assert machine_ledger_path() == machine_ledger_path("local")
    assert machine_ledger_path("tcp://10.0.0.1:2375").parent == machine_ledger_path().parent
    assert machine_ledger_path("tcp://10.0.0.1:2375") != machine_ledger_path()
    assert "/" not in machine_ledger_path("../../etc/passwd").name


def test_reservations_of_another_user_are_counted(base: Path, other_process: ProcessId) -> None:
    write(base / f"localrun-{OTHER}", entry(other_process))
    assert first_reason(gate()).startswith(NO_MEMORY)
    with gate().acquire("small", Resources(memory=4 * GI)):
        assert {each.task_id for each in gate().snapshot().running} == {"theirs", "small"}


def test_an_entry_of_a_process_that_is_not_the_users_is_not_counted(
    base: Path, other_process: ProcessId
) -> None:
    write(
        base / f"localrun-{OTHER}",
        entry(current_process(), "of root"),
        entry(other_process.replace(started=-1.0), "dead"),
        entry(other_process.replace(boot="another/1"), "elsewhere"),
        entry(other_process, "alive"),
    )
    assert seen(base) == [(OTHER, "alive")]


def test_a_folder_or_file_that_others_could_have_written_is_not_believed(
    base: Path, other_process: ProcessId
) -> None:
    path = write(base / f"localrun-{OTHER}", entry(other_process), mode=0o777)
    write(base / "localrun-12345", entry(other_process))  # belongs to OTHER
    real = write(base / "real", entry(other_process))
    (base / "localrun-54322").symlink_to(real.parent)
    assert seen(base) == []
    path.parent.chmod(0o755)
    assert seen(base) == [(OTHER, "theirs")]
    path.unlink()
    path.symlink_to(real)
    assert seen(base) == []


@pytest.mark.parametrize("content", [b"", b"not JSON", b"[" * 5000, b'{"a": 1}'])
def test_a_damaged_ledger_of_another_user_changes_nothing(
    base: Path, other_process: ProcessId, content: bytes
) -> None:
    write(base / f"localrun-{OTHER}", entry(other_process)).write_bytes(content)
    with gate().acquire("mine", Resources(memory=10 * GI)):
        pass


def test_a_pipe_in_place_of_the_ledger_of_another_user_does_not_block(
    base: Path, other_process: ProcessId
) -> None:
    path = write(base / f"localrun-{OTHER}", entry(other_process))
    path.unlink()
    os.mkfifo(path)
    assert seen(base) == []


def test_live_entries_of_the_old_shared_ledger_are_counted(base: Path, other_process: ProcessId) -> None:
    write(base / "localrun-ledger", entry(other_process), mode=0o777)
    assert seen(base) == [(OTHER, "theirs")]


def test_a_folder_that_another_user_has_taken_is_replaced_by_one_with_a_random_name(base: Path) -> None:
    if os.geteuid() != 0:
        skip_or_fail("only root can create a folder of another user")
    taken = base / "localrun-0"
    taken.mkdir()
    os.chown(taken, OTHER, OTHER)
    path = machine_ledger_path()
    assert path == machine_ledger_path()
    assert path.parent.name.startswith("localrun-0.")
    with gate().acquire("mine", Resources()):
        assert path.exists()


def test_of_two_claims_at_the_same_time_the_later_one_is_withdrawn(
    base: Path, other_process: ProcessId
) -> None:
    path = write(base / f"localrun-{OTHER}", entry(other_process, ticket=1))
    with patch("localrun.admission.ledger.entries_of_others", unseen_at_first(path)):
        assert first_reason(gate()).startswith(NO_MEMORY)
    assert {each.task_id for each in gate().snapshot().running} == {"theirs"}


def test_the_earlier_of_two_claims_stays_if_the_later_one_is_withdrawn(
    base: Path, other_process: ProcessId
) -> None:
    path = write(base / f"localrun-{OTHER}", entry(other_process, ticket=2**62))
    entries = unseen_at_first(path, remove_at=3)
    with (
        patch("localrun.admission.ledger.entries_of_others", entries),
        gate().acquire("mine", Resources(memory=6 * GI)),
    ):
        assert not path.exists()


def test_the_earlier_of_two_claims_is_withdrawn_if_the_later_one_stays(
    base: Path, other_process: ProcessId
) -> None:
    path = write(base / f"localrun-{OTHER}", entry(other_process, ticket=2**62))
    with patch("localrun.admission.ledger.entries_of_others", unseen_at_first(path)):
        assert first_reason(gate()).startswith(NO_MEMORY)


CROWD = """
import os, sys
from pathlib import Path
from localrun.admission import Admission, Capacity, machine_ledger_path, users
from localrun.task.record import Resources

users.base_folder = lambda: Path(sys.argv[1])
admission = Admission(machine_ledger_path(), Capacity(2.0, 1024), [], interval=0.05)
for turn in range(10):
    with admission.acquire(f"{os.getpid()}-{turn}", Resources(cpus=0.8, memory=1)):
        held = Path(sys.argv[2], f"{os.getpid()}-{turn}")
        held.touch()
        assert len(os.listdir(sys.argv[2])) <= 2
        held.unlink()
"""


def test_two_users_never_reserve_more_than_there_is(as_other_user: OtherUser) -> None:
    with tempfile.TemporaryDirectory() as folder:  # the other user cannot enter the test's own folder
        shared, held = Path(folder, "shm"), Path(folder, "held")
        for path in (shared, held):
            path.mkdir()
            path.chmod(0o1777)
        Path(folder).chmod(0o755)
        command = [str(as_other_user.python), "-c", CROWD, str(shared), str(held)]
        environment = as_other_user.environment({})
        crowd = [
            subprocess.Popen(command, user=uid, cwd="/", env=environment, stderr=subprocess.PIPE)
            for uid in (0, as_other_user.uid, 0, as_other_user.uid)
        ]
        errors = [process.communicate(timeout=100)[1].decode() for process in crowd]
    assert errors == [""] * 4
    assert [process.returncode for process in crowd] == [0] * 4
