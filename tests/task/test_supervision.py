"""The lock of the supervisor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from localrun.task import supervision


def test_one_process_holds_the_lock_and_its_pid_is_known(tmp_path: Path) -> None:
    assert supervision.running_pid(tmp_path) is None
    descriptor = supervision.acquire(tmp_path)
    assert descriptor is not None
    assert supervision.running_pid(tmp_path) == 0  # starting
    assert supervision.acquire(tmp_path) is None
    os.pwrite(descriptor, b"123\n", 0)
    assert supervision.running_pid(tmp_path) == 123
    assert supervision.acquire(tmp_path) is None
    os.close(descriptor)
    assert supervision.running_pid(tmp_path) is None


def test_the_lock_of_a_deleted_folder_is_not_held(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    descriptor = supervision.acquire(home)
    assert descriptor is not None
    assert supervision.is_held(home, descriptor)
    (home / supervision.LOCK).unlink()
    assert not supervision.is_held(home, descriptor)
    again = supervision.acquire(home)  # by the supervisor of a folder that was created again
    assert again is not None
    assert not supervision.is_held(home, descriptor)
    os.close(descriptor)
    os.close(again)


def test_stop_ends_the_process_and_waits_for_it(tmp_path: Path) -> None:
    script = (
        "import os, sys, time; from pathlib import Path; from localrun.task import supervision;"
        "d = supervision.acquire(Path(sys.argv[1])); os.pwrite(d, b'%d' % os.getpid(), 0);"
        "print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        assert supervision.running_pid(tmp_path) == process.pid
        assert supervision.stop(tmp_path)
    assert process.returncode == -15
    assert supervision.stop(tmp_path)
