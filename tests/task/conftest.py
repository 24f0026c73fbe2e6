from __future__ import annotations

from pathlib import Path

import pytest

from localrun.task.store import TaskStore


@pytest.fixture
def home(tmp_path: Path) -> TaskStore:
    return TaskStore(tmp_path / ".localrun")
