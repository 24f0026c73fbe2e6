"""What survives `kill -9` of the server's process: whole uploads, and nothing of partial ones."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import requests

from tests.support.bundles import bundle
from tests.support.server_process import ServerProcess, serving
from tests.support.waiting import until

HEAD = b'--b\r\nContent-Disposition: form-data; name="task"; filename="x"\r\n\r\n'
PARTIAL = 2 * 1024**2  # bytes; more than are collected before they are written


def begin_upload(server: ServerProcess) -> socket.socket:
    """Send the first part of an upload, and wait until the server has written some of it."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    request = (
        f"POST /app-engine/v1/tasks HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {10 * PARTIAL}\r\n\r\n"
    )
    connection.sendall(request.encode() + HEAD + bytes(PARTIAL))
    until(lambda: any(path.stat().st_size for path in partial_files(server.folder)))
    return connection


def partial_files(folder: Path) -> list[Path]:
    return list(folder.glob(".localrun/appengine/tasks/.*/0"))


def test_a_killed_server_keeps_its_tasks_and_no_partial_upload(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    path = bundle(tmp_path)
    options = ("--without-engine",)
    env = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    with serving(folder, *options, env=env) as server:
        address = f"{server.address}/app-engine/v1"
        with path.open("rb") as stream:
            task = requests.post(f"{address}/tasks", files={"task": stream}, timeout=60).json()
        run = requests.post(f"{address}/tasks/{task['id']}/runs", timeout=60).json()
        with begin_upload(server):
            server.stop(signal.SIGKILL)
    assert partial_files(folder)
    with serving(folder, *options, env=env) as server:
        address = f"{server.address}/app-engine/v1"
        assert requests.get(f"{address}/tasks", timeout=60).json() == [task]
        runs = requests.get(f"{address}/tasks/{task['namespace']}/{task['version']}/runs", timeout=60)
        assert runs.json() == [run]
        assert partial_files(folder) == []
        assert [path.name for path in (folder / ".localrun/appengine/tasks").iterdir()] == [task["id"]]
        value = {"parameterName": "a", "value": 3}
        answer = requests.put(f"{address}/task-runs/{run['id']}/input-provisions/a", json=value, timeout=60)
        assert answer.status_code == 200
        server.stop()
