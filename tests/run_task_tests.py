"""Runs the tests of the task system: `python tests/run_task_tests.py`."""

from __future__ import annotations

import sys
from pathlib import Path

try:
    import pytest
except ImportError:
    sys.exit(
        f"error: pytest is not installed for {sys.executable}; run `make venv`, then use .venv/bin/python"
    )

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run them, with whatever options of pytest were given; its exit code."""
    print("Task system tests: models, task manager, routes", flush=True)  # noqa: T201
    where = ROOT / "tests" / "modules" / "task"
    return int(
        pytest.main([f"--rootdir={ROOT}", "-c", str(ROOT / "pyproject.toml"), str(where), *sys.argv[1:]])
    )


if __name__ == "__main__":
    sys.exit(main())
