"""A project that is built on the Task System brings its own tests. They pass next to `modules/`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.support.server_process import environment

_CLEAN = shutil.ignore_patterns("__pycache__")


def test_the_tests_of_a_project_pass_in_a_checkout_with_modules(tmp_path: Path) -> None:
    shutil.copy(ROOT / "main.py", tmp_path)
    shutil.copytree(ROOT / "modules", tmp_path / "modules", ignore=_CLEAN)
    shutil.copytree(ROOT / "samples/task-system-project/tests", tmp_path / "tests", ignore=_CLEAN)
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/modules/task"],
        cwd=tmp_path,
        env=environment({"PYTHONPATH": f"{tmp_path}:{ROOT}"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert int(re.findall(r"(\d+) passed", found.stdout)[0]) >= 40
