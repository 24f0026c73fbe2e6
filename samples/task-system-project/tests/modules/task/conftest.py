from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
from fastapi.testclient import TestClient

from modules.task.handler import TaskManager
from modules.task.models import TaskRequestFromRay


@pytest.fixture
def task_manager() -> TaskManager:
    return TaskManager()


@pytest.fixture
def sample_task_data() -> dict[str, Any]:
    return {"action": "reflect", "content": "What was learned today?", "depth": 3}


@pytest.fixture
def sample_request(sample_task_data: dict[str, Any]) -> TaskRequestFromRay:
    return TaskRequestFromRay(task=sample_task_data, assigned_by="ray")


@pytest.fixture
def client() -> TestClient:
    from main import app

    return TestClient(app)


@pytest.fixture
def mock_manager() -> Iterator[MagicMock]:
    with patch("modules.routes.task_routes.task_manager") as manager:
        yield manager


@pytest.fixture
def routed_manager(task_manager: TaskManager, monkeypatch: pytest.MonkeyPatch) -> TaskManager:
    monkeypatch.setattr("modules.routes.task_routes.task_manager", task_manager)
    return task_manager
