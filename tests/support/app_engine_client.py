"""A server of App Engine's API in this process, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import Response
from starlette.testclient import TestClient

from localrun.engines.fake import FakeContainer
from localrun.server.appengine.deviations import DEVIATIONS
from localrun.server.appengine.service import AppEngine
from tests.support import bundles
from tests.support.environment import DESCRIPTOR
from tests.support.server_client import ServerEnvironment, serve_environment

PREFIX = "/app-engine/v1"


def assert_deviates(response: Response, row: str) -> None:
    """Check that a response has the `Warning` header of a row of the table of deviations."""
    expected = DEVIATIONS[row].app_engine.replace('"', '\\"')
    assert f'299 localrun "App Engine {expected}"' in response.headers.get("warning", "")


@dataclass
class AppEngineEnvironment:
    """A server, and a client that sends requests to paths below the prefix."""

    server: ServerEnvironment

    @property
    def client(self) -> TestClient:
        return self.server.client

    @property
    def service(self) -> AppEngine:
        return self.server.site.app_engine

    def request(self, method: str, path: str, **options: Any) -> Response:
        """Send a request to a path such as `tasks`."""
        return self.client.request(method, f"{PREFIX}/{path}", **options)

    def get(self, path: str, **options: Any) -> Response:
        return self.request("GET", path, **options)

    def upload_file(self, path: Path, field: str = "task") -> Response:
        """Upload a bundle."""
        return self.request("POST", "tasks", files={field: ("upload", path.read_bytes())})

    def upload(self, descriptor: str = DESCRIPTOR, archive: bytes | None = None) -> Any:
        """Upload a bundle with a descriptor, and return the answer."""
        path = bundles.bundle(self.server.folder, archive, descriptor)
        response = self.upload_file(path)
        assert response.status_code == 200, response.text
        return response.json()

    def create_run(self, task: Any) -> Any:
        """Create a run, and return the answer."""
        response = self.request("POST", f"tasks/{task['id']}/runs")
        assert response.status_code == 200, response.text
        return response.json()

    def start_run(self, run_id: str, **inputs: Any) -> None:
        """Provision the inputs of a run, and start it."""
        for name, value in inputs.items():
            body = {"parameterName": name, "value": value}
            response = self.request("PUT", f"task-runs/{run_id}/input-provisions/{name}", json=body)
            assert response.status_code == 200, response.text
        response = self.request("POST", f"task-runs/{run_id}/state-actions", json={"desired": "RUNNING"})
        assert response.status_code == 200, response.text


@contextmanager
def serve_app_engine(
    folder: Path, program: Callable[[FakeContainer], Any] | None = None, **options: Any
) -> Iterator[AppEngineEnvironment]:
    """A server on an environment in `folder`; see `serve_environment`."""
    with serve_environment(folder, program, **options) as server:
        yield AppEngineEnvironment(server)
