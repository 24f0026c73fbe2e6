from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from localrun.app import App
from localrun.cli.context import CliContext
from localrun.cli.entry import commands
from localrun.cli.exit_codes import ExitCode
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.server.sockets import AddressUnavailable, listen
from tests.support.server_client import live, serve_environment
from tests.support.server_process import ROOT, environment, serving


def refused(
    folder: Path, *options: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a server that fails to start."""
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *options],
        cwd=folder,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def one_line(found: subprocess.CompletedProcess[str]) -> str:
    """Return the line with the error, and check that there is no traceback."""
    assert len(found.stderr.splitlines()) <= 2, found.stderr
    return found.stderr


def test_both_addresses_of_localhost_answer_on_one_port() -> None:
    sockets = listen("127.0.0.1", 0)
    try:
        port = sockets[0].getsockname()[1]
        families = {each.family for each in sockets}
        assert {each.getsockname()[1] for each in sockets} == {port}
        assert socket.AF_INET in families
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, port), timeout=60).close()
    finally:
        for each in sockets:
            each.close()


def test_a_port_in_use_is_told_with_the_port_and_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnavailable, match=f"port {port} on 127.0.0.1 is in use") as caught:
            listen("127.0.0.1", port)
    assert "--port" in caught.value.remedy


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(AddressUnavailable, match="cannot listen"):
        listen("192.0.2.1", 0)


def test_a_busy_port_is_one_line_and_an_exit_code_of_its_own(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = refused(tmp_path, "--port", str(taken.getsockname()[1]))
    assert found.returncode == ExitCode.ADDRESS
    assert "is in use by another program" in one_line(found)


def test_a_log_folder_that_cannot_be_written_is_one_line_and_an_exit_code_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    found = refused(tmp_path, "--port", "0")
    assert found.returncode == ExitCode.LOGS
    assert "cannot write to the log folder" in one_line(found)


def test_a_named_engine_that_does_not_answer_is_one_line_and_an_exit_code_of_its_own(tmp_path: Path) -> None:
    found = refused(tmp_path, "--port", "0", env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert found.returncode == ExitCode.ENGINE_OR_HOST
    assert "none.sock" in one_line(found)


def test_without_an_engine_the_lists_are_served_and_containers_refused(tmp_path: Path) -> None:
    env = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    with serving(tmp_path, "--without-engine", env=env) as server:
        assert any(line.startswith("warning: ") for line in server.printed)
        status = requests.get(f"{server.address}/task/status").json()
        assert status["engine"]["available"] is False
        assert "none.sock" in status["engine"]["error"]
        answers = [
            requests.post(f"{server.address}/task", json={"task": task, "assigned_by": "x"}).status_code
            for task in ({}, {"image": "x", "command": ["true"]})
        ]
        assert answers == [200, 503]


def test_garbage_is_searched_for_again_before_the_first_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("localrun.server.uvicorn_server.serve", lambda *_: called.append("serve"))
    context = CliContext(
        make_app=lambda settings: App(settings, FakeEngine()), on_imported=lambda: called.append("imported")
    )
    commands.main(["serve", "--port", "0"], obj=context, standalone_mode=False)
    assert called == ["imported", "serve"]


def test_another_address_needs_a_token(tmp_path: Path) -> None:
    found = refused(tmp_path, "--host", "0.0.0.0", "--port", "0")
    assert found.returncode == ExitCode.USAGE
    assert "LOCALRUN_TOKEN" in found.stderr


def test_with_a_token_another_address_is_served(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0", env={"LOCALRUN_TOKEN": "s3cret-token"}) as server:
        place = f"http://127.0.0.1:{server.port}/task/list"
        assert requests.get(place).status_code == 401
        assert requests.get(place, headers={"Authorization": "Bearer s3cret-token"}).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as server:
        requests.post(f"{server.address}/task", json={"task": {}, "assigned_by": "x"})
        assert server.stop(number) == 0
        assert server.process.stdout is not None
        assert server.process.stdout.read() == f"web page: http://127.0.0.1:{server.port}/ui/\n"
    assert (tmp_path / "logs/heartbeat_detailed.jsonl").read_text().count("\n") == 4


def test_those_who_wait_and_watch_are_let_go_when_the_server_stops(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        body = {"task": {}, "assigned_by": "x"}
        task_id = requests.post(f"{server.address}/task", json=body).json()["task_id"]
        with requests.get(f"{server.address}/task/{task_id}/events", stream=True) as stream:
            assert next(stream.iter_lines())
            assert server.stop() == 0


def test_the_greeting_does_not_fail_on_a_console_without_unicode(tmp_path: Path) -> None:
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    with serving(tmp_path, env=env) as server:
        assert "\\U0001f3af Task Manager initialized - Global task lists created\n" in server.printed


def test_a_log_is_followed_while_it_is_written(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        container.stdout.write("first\n")
        go.wait(60)
        container.stdout.write("last\n")
        container.path("/outputs/sum").write_text("1")
        return 0

    with serve_environment(tmp_path, program) as env, live(env.site) as address:
        task_id = env.run(a=1, b=2)
        with requests.get(f"{address}/task/{task_id}/logs?follow=true", stream=True) as stream:
            lines = stream.iter_lines()
            assert next(lines) == b"first"  # although the task has not ended
            go.set()
            assert list(lines) == [b"last"]


def test_an_input_is_streamed_to_disk_and_a_sender_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env, live(env.site) as address:
        task_id = env.run(a=1)
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as sender:
            head = f"PUT /task/{task_id}/inputs/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
            sender.sendall(head.encode() + b"12")
        assert requests.put(f"{address}/task/{task_id}/inputs/b", data=b"no number").status_code == 422
    uploads = env.env.app.store.open(task_id).uploads
    assert list(uploads.iterdir()) == []
