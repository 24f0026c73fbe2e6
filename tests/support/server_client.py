"""A server application in this process, and a client for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from localrun.engines.base import Engine
from localrun.engines.fake import FakeContainer
from localrun.server import uvicorn_server
from localrun.server.application import make_api
from localrun.server.config import ServerOptions
from localrun.server.sockets import listen
from localrun.server.state import ServerState
from tests.support.environment import Environment, make_environment


@dataclass
class ServerEnvironment:
    """An environment, the site on it, and a client of its API."""

    env: Environment
    site: ServerState
    client: TestClient
    folder: Path

    def post(self, task: Any, assigned_by: str = "ray") -> dict[str, Any]:
        """Create a task. Return the response."""
        response = self.client.post("/task", json={"task": task, "assigned_by": assigned_by})
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def run(self, **inputs: Any) -> str:
        """Make a task of the environment's bundle; its id."""
        return str(self.post(self.bundle(**inputs))["task_id"])

    def bundle(self, **inputs: Any) -> dict[str, Any]:
        """The task object that names the environment's bundle."""
        return {"bundle": self.env.bundle.name, "image": self.env.image, "inputs": inputs}

    def wait(self, task_id: str) -> dict[str, Any]:
        """The task after its end."""
        answer = self.client.get(f"/task/{task_id}/wait", params={"timeout": 60}).json()
        assert answer["ended"]
        found: dict[str, Any] = answer["task"]
        return found

    def lines(self, event_type: str | None = None, *, volatile: bool = False) -> list[dict[str, Any]]:
        """Return the lines of the journal."""
        name = "heartbeat_stats.jsonl" if volatile else "heartbeat_detailed.jsonl"
        text = (self.folder / "logs" / name).read_text() if (self.folder / "logs" / name).exists() else ""
        found = [json.loads(line) for line in text.splitlines()]
        return [line for line in found if event_type in (None, line["event_type"])]


@contextmanager
def serve_environment(
    folder: Path,
    program: Callable[[FakeContainer], Any] | None = None,
    *,
    engine: Engine | None = None,
    headers: dict[str, str] | None = None,
    base_url: str = "http://localhost:8000",
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Iterator[ServerEnvironment]:
    """A server on an environment in `folder`."""
    given = {"logs": folder / "logs", **(settings or {})}
    with make_environment(folder, program, engine=engine, **given) as env:
        site = ServerState(env.app, ServerOptions(**{"bundles": (folder,), **options}))
        with TestClient(make_api(site), base_url=base_url, headers=headers) as client:
            yield ServerEnvironment(env, site, client, folder)


def add(container: FakeContainer) -> int:
    """The program of the environment's bundle."""
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0


@contextmanager
def live(site: ServerState) -> Iterator[str]:
    """Run a real server on a free port. Return its address."""
    sockets = listen("127.0.0.1", 0)
    try:
        with uvicorn_server.serve_in_thread(make_api(site), site, sockets):
            yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        for each in sockets:
            each.close()
