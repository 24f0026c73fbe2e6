"""How `make test` runs lint and the tests at the same time."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.scheduling import SPLIT, Scheduling

BOTH = ROOT / ".ci/both"


@pytest.mark.parametrize(("first", "second", "code"), [(0, 0, 0), (3, 0, 3), (0, 4, 4), (3, 4, 3)])
def test_two_commands_are_both_reported_and_fail_together(first: int, second: int, code: int) -> None:
    commands = [f"echo lint; exit {first}", f"echo tests; exit {second}"]
    done = subprocess.run([BOTH, *commands], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert re.findall(r"^(lint|tests)$", done.stdout, re.MULTILINE) == ["tests", "lint"]
    failed = re.findall(r"exit code (\d): echo (\w+)", done.stderr)
    assert failed == [(str(found), name) for found, name in ((first, "lint"), (second, "tests")) if found]


def test_two_commands_run_at_the_same_time(tmp_path: Path) -> None:
    # Given commands that wait for each other
    os.mkfifo(tmp_path / "pipe")
    commands = ["read -t 60 < pipe", "echo there > pipe"]

    # When they run, then both end
    done = subprocess.run([BOTH, *commands], cwd=tmp_path, stderr=subprocess.PIPE, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_tests_of_a_file_stay_together_unless_it_is_long() -> None:
    scheduling = Scheduling.__new__(Scheduling)
    assert scheduling._split_scope("tests/a/test_b.py::test_c[1]") == "tests/a/test_b.py"
    for file in SPLIT:
        assert (ROOT / file).exists()
        assert scheduling._split_scope(f"{file}::test_c[1]") == f"{file}::test_c[1]"
