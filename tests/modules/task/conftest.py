from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from localrun.app import App
from localrun.engines.fake import FakeEngine
from localrun.manager.manager import TaskManager
from localrun.server.asgi import make_app
from localrun.settings import Settings
from main import LazyApp


@pytest.fixture
def app_of_tasks(tmp_path: Path) -> Iterator[App]:
    """Give each test its own app, without tasks of other tests."""
    engine = FakeEngine()
    settings = Settings(
        home=tmp_path / ".localrun",
        cache=tmp_path / "cache",
        logs=tmp_path / "logs",
        ledger=tmp_path / "ledger.json",
    )
    app = App(settings, engine)
    yield app
    app.manager.shutdown(0)
    engine.close()


@pytest.fixture
def task_manager(app_of_tasks: App) -> TaskManager:
    return app_of_tasks.manager


@pytest.fixture
def client(app_of_tasks: App) -> TestClient:
    """Return a client of `main:app`, as a test client calls it: without lifespan events."""
    lazy = LazyApp(lambda: make_app(app_of_tasks))
    return TestClient(lazy, raise_server_exceptions=False)
