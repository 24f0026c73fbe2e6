"""Programs of the checkout that run without the environment of localrun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("program", "remedy"),
    [
        (("main.py",), ".venv/bin/python main.py"),
        (("-m", "localrun"), "run the Python of the environment with localrun"),
        (("tests/run_task_tests.py",), ".venv/bin/python"),
    ],
)
def test_a_python_without_the_packages_gets_one_line(program: tuple[str, ...], remedy: str) -> None:
    # Without -S, this Python finds the packages of its environment
    done = subprocess.run(
        [sys.executable, "-S", "-E", *program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert "is not installed for" in done.stderr
    assert remedy in done.stderr
