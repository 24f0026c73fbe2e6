"""`localrun.Client` with a live server on the fake engine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import pytest

import localrun
from localrun.engines.fake import FakeContainer
from localrun.errors import RequestRefused, TaskNotFound, UsageError
from localrun.pytest_plugin.live_server import run_server
from localrun.server.client.served_task import ServedTask
from localrun.server.client.server_sent_events import read_events
from localrun.server.config import ServerOptions
from localrun.task.events import Event
from tests.manager.test_recovery import add
from tests.support.environment import Environment, make_environment

release = threading.Event()


def program(container: FakeContainer) -> int:
    """Add; if the first number is 0, wait to be released or stopped; fail for 1."""
    a = int(container.path("/inputs/a").read_text())
    while a == 0 and not release.is_set() and not container.stopped.wait(0.01):
        pass
    container.stdout.write(f"a = {a}\n")
    return add(container) if a != 1 else 3


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    release.clear()
    with make_environment(tmp_path, program, logs=tmp_path / "logs") as made:
        yield made


@pytest.fixture
def client(env: Environment, tmp_path: Path) -> Iterator[localrun.Client]:
    with run_server(env.app, ServerOptions(bundles=(tmp_path,), token="secret")) as server:
        yield localrun.Client(server.url, "secret")


def submit(client: localrun.Client, env: Environment, **more: Any) -> ServedTask:
    given = {"inputs": {"a": 3, "b": 4}, "image": env.image, **more}
    return client.submit(env.bundle.name, **given)


def states(events: list[Event]) -> list[str]:
    return [str(event.data["state"]) for event in events if event.kind == "state"]


def test_a_task_is_submitted_waited_for_and_listed(client: localrun.Client, env: Environment) -> None:
    created = submit(client, env, metadata={"sample": "A1"}, timeout="1m", cpus=0.5)
    ended = client.wait(created.id)
    assert (ended.id, ended.state, ended.is_finished, ended.outputs) == (
        created.id,
        "FINISHED",
        True,
        {"sum": 7},
    )
    assert (ended.metadata, ended.inputs) == ({"sample": "A1"}, {"a": 3, "b": 4})
    assert (ended.details["timeout"], ended.details["resources"]["cpus"]) == (60.0, 0.5)
    assert client.task(created.id) == ended
    other = client.wait(submit(client, env, metadata={"sample": "A2"}).id)
    assert [task.id for task in client.tasks()] == [created.id, other.id]
    assert [task.id for task in client.tasks("ended", metadata="sample=A2")] == [other.id]
    assert [task.id for task in client.tasks(metadata={"sample": "A2"})] == [other.id]
    assert client.tasks(metadata={"sample": "A3"}) == []
    assert client.tasks("failed") == client.tasks("active") == []
    with pytest.raises(UsageError, match="did you mean 'FINISHED'"):
        client.tasks("FINISHD")


def test_events_and_the_log_are_followed_until_the_end(client: localrun.Client, env: Environment) -> None:
    task = submit(client, env, inputs={"a": 0, "b": 4})
    found = []
    for event in client.follow(task.id):
        found.append(event)
        if event.data.get("state") == "RUNNING":
            release.set()
    assert states(found)[-2:] == ["RUNNING", "FINISHED"]
    assert list(map(repr, client.follow(task.id))) == list(map(repr, found))  # of an ended task
    assert "a = 0\n" in "".join(client.logs(task.id))
    assert "a = 0\n" in "".join(client.logs(task.id, follow=True))


def test_a_wait_can_time_out_and_a_task_be_killed(client: localrun.Client, env: Environment) -> None:
    task = submit(client, env, inputs={"a": 0, "b": 4})
    with pytest.raises(TimeoutError, match=r"has not ended after 0\.01 s"):
        client.wait(task.id, 0.01)
    assert client.kill(task.id, grace=1).state == "KILLED"
    client.remove(task.id)
    with pytest.raises(TaskNotFound):
        client.task(task.id)


def test_a_failed_task_says_why_and_runs_again(client: localrun.Client, env: Environment) -> None:
    failed = client.wait(submit(client, env, inputs={"a": 1, "b": 4}, metadata={"x": 1}).id)
    assert (failed.state, failed.cause, failed.exit_code) == ("FAILED", "EXIT_NONZERO", 3)
    again = client.wait(client.rerun(failed.id, inputs={"a": 5}, metadata={"y": 2}).id)
    assert (again.outputs, again.metadata) == ({"sum": 9}, {"x": 1, "y": 2})


def test_inputs_are_uploaded_and_outputs_downloaded(
    client: localrun.Client, env: Environment, tmp_path: Path
) -> None:
    task = submit(client, env, inputs={})
    assert client.task(task.id).missing == ["a", "b"]
    (tmp_path / "a").write_text("30")
    assert client.upload_input(task.id, "a", tmp_path / "a").missing == ["b"]
    client.upload_input(task.id, "b", b"4")
    assert client.wait(task.id).outputs == {"sum": 34}
    assert client.download_output(task.id, "sum", tmp_path / "sum").read_text() == "34"
    with pytest.raises(RequestRefused, match=r"404 Task .* has no output 'sun'"):
        client.download_output(task.id, "sun", tmp_path / "sun")
    assert not (tmp_path / "sun").exists()


def test_a_task_stands_for_its_id(client: localrun.Client, env: Environment, tmp_path: Path) -> None:
    task = client.wait(submit(client, env))
    assert client.task(task) == task
    assert list(map(repr, client.follow(task))) == list(map(repr, client.follow(task.id)))
    assert client.download_output(task, "sum", tmp_path / "sum").read_text() == "7"
    client.remove(client.wait(client.rerun(task)))


def test_a_download_that_ends_too_early_is_an_error_and_keeps_the_former_file(tmp_path: Path) -> None:
    (tmp_path / "sum").write_text("former")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234")

        server = threading.Thread(target=serve)
        server.start()
        client = localrun.Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(RequestRefused, match="ended 6 bytes too early"):
            client.download_output("task", "sum", tmp_path / "sum")
        server.join()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("sum", "former")]


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", ""])
def test_an_invalid_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(UsageError, match="invalid URL"):
        localrun.Client(url)


def test_a_task_without_a_container_is_completed(client: localrun.Client) -> None:
    task = client.submit(type="review", task_id="review-1")
    assert task.id == "review-1"
    assert client.submit(type="review", task_id="review-1").id == task.id
    assert client.complete(task.id, {"ok": 1}).result == {"ok": 1}


def test_a_refused_request_lists_every_problem(client: localrun.Client, env: Environment) -> None:
    with pytest.raises(RequestRefused) as caught:
        submit(client, env, retries=-1, hardned=True)
    error = caught.value
    assert (error.status, [problem.path for problem in error.problems]) == (
        422,
        ["task.retries", "task.hardned"],
    )
    assert "did you mean 'hardened'?" in str(error)
    with pytest.raises(RequestRefused, match="422 1 problem\n"):
        submit(client, env, retries=-1)
    with pytest.raises(RequestRefused, match="409"):
        client.kill(client.wait(submit(client, env).id).id)


def test_a_wrong_token_and_a_missing_server_are_reported(client: localrun.Client) -> None:
    with pytest.raises(RequestRefused, match="401"):
        localrun.Client(client.url, "wrong").tasks()
    with pytest.raises(RequestRefused, match=r"127\.0\.0\.1:9: Connection refused") as caught:
        localrun.Client("http://127.0.0.1:9").task("x")
    assert caught.value.status == 0


@pytest.mark.parametrize("call", ["task", "wait", "kill", "rerun", "remove"])
def test_an_unknown_task_is_not_found(client: localrun.Client, call: str) -> None:
    with pytest.raises(TaskNotFound):
        getattr(client, call)("nothing")
    with pytest.raises(TaskNotFound):
        list(client.follow("nothing"))


def test_a_stream_may_have_comments_and_unknown_events() -> None:
    lines = b': x\n\nid: 4\nevent: a\ndata: {"kind":"note","task_id":"1","new":2}\n\ndata: [\n\nid: 5\n\n'
    ((number, event),) = read_events(lines.splitlines(keepends=True))
    assert (number, event.kind, event.task_id) == (4, "note", "1")


if TYPE_CHECKING:

    def calls(client: localrun.Client) -> None:
        assert_type(client.wait("x"), ServedTask)
        client.submit("bundle", timeout=["x"])  # type: ignore[arg-type]
