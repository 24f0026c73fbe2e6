"""Malformed answers of an engine, for every request: engine errors that say what was asked, never a bug."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import BuildRequest, ContainerSpec
from localrun.engines.dockerd import DockerEngine, creation
from localrun.errors import Cause, EngineError, ImageError, LocalrunError
from tests.support.socket_engine import Answer, SocketEngine, http

SPEC = ContainerSpec(image="sha256:" + "a" * 64, name="localrun-x", labels={"localrun.task": "x"})


@pytest.fixture
def connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Answer], tuple[DockerEngine, SocketEngine]]]:
    monkeypatch.setattr(creation, "_PAUSE", 0.001)
    opened: list[Any] = []

    def start(answer: Answer) -> tuple[DockerEngine, SocketEngine]:
        path = tmp_path / f"{len(opened)}.sock"
        server = SocketEngine(path, answer)
        engine = DockerEngine(f"unix://{path}", config=tmp_path / "config", builder="classic")
        opened.extend([engine, server])
        return engine, server

    yield start
    for one in opened:
        one.close()


def drain(found: Any) -> None:
    for _ in found:
        pass


CALLS: dict[str, Callable[[DockerEngine], Any]] = {
    "info": lambda engine: engine.info(),
    "find_image": lambda engine: engine.find_image("busybox"),
    "images": lambda engine: engine.images({"localrun.build": ""}),
    "load_image": lambda engine: engine.load_image([b"tar"]),
    "save_image": lambda engine: drain(engine.save_image("busybox")),
    "tag_image": lambda engine: engine.tag_image("busybox", "other:1"),
    "remove_image": lambda engine: engine.remove_image("busybox"),
    "remove_untagged": lambda engine: engine.remove_untagged("busybox"),
    "pull_image": lambda engine: engine.pull_image("busybox"),
    "create": lambda engine: engine.create(SPEC),
    "start": lambda engine: engine.start("abc"),
    "wait": lambda engine: engine.wait("abc"),
    "inspect": lambda engine: engine.inspect("abc"),
    "logs": lambda engine: drain(engine.logs("abc")),
    "attach": lambda engine: drain(engine.attach("abc") or ()),
    "usage": lambda engine: drain(engine.usage("abc")),
    "size": lambda engine: engine.size("abc"),
    "stop": lambda engine: engine.stop("abc", 1),
    "kill": lambda engine: engine.stop("abc", 0),
    "remove": lambda engine: engine.remove("abc"),
    "find": lambda engine: engine.find({"localrun.task": ""}),
    "copy_in": lambda engine: engine.copy_in("abc", "/", [b"tar"]),
    "copy_out": lambda engine: drain(engine.copy_out("abc", "/outputs")),
}
# calls whose answer has a body that is not read: only its status matters
IGNORES_BODY = {
    *("tag_image", "remove_image", "start", "stop", "kill", "remove", "copy_in"),
    *("logs", "attach", "copy_out", "remove_untagged"),
}

BODIES: dict[str, bytes] = {
    "empty object": b"{}",
    "empty list": b"[]",
    "list of objects": b"[{}]",
    "list of numbers": b"[1, 2]",
    "null": b"null",
    "number": b"17",
    "text": b'"text"',
    "nothing": b"",
    "garbage": b"\x00\xff\xfe garbage",
    "truncated": b'{"Id": "abc", "Con',
    "html": b"<html><body><h1>It works!</h1></body></html>",
    "deep": b"[" * 100_000,
    "wrong types": json.dumps(
        {name: [1] for name in ("Id", "State", "Config", "NCPU", "MemTotal", "Labels", "Names", "stream")}
    ).encode(),
    "nulls": json.dumps(
        dict.fromkeys(("Id", "State", "Config", "ServerVersion", "NCPU", "message"))
    ).encode(),
    "bad state": b'{"StatusCode": 0, "State": {"Status": 3, "Running": false, "Error": "", "StartedAt": 5}}',
    "bad times": b'{"StatusCode": 0, "State": {"Status": "exited", "Running": false, "Error": "",'
    b' "StartedAt": "yesterday", "FinishedAt": "x", "ExitCode": "many", "OOMKilled": 1}}',
    "bad id": b'{"Id": "../../etc", "Warnings": []}',
    "huge number": b'{"NCPU": ' + b"9" * 5000 + b"}",
    "progress": b'{"status": "Downloading", "progressDetail": {"total": "x"}}\n{"errorDetail": "text"}',
}


def call_safely(engine: DockerEngine, name: str) -> LocalrunError | None:
    """Make a call; only errors of the engine and of images may be raised."""
    found: LocalrunError | None = None
    try:
        CALLS[name](engine)
    except (EngineError, ImageError) as error:
        found = error
    assert found is None or found.cause is not Cause.INTERNAL, name
    assert found is None or len(found.message) < 2000, name
    return found


@pytest.mark.parametrize("body", BODIES, ids=lambda name: name.replace(" ", "-"))
def test_a_malformed_body_is_an_error_of_the_engine(body: str, connect: Any) -> None:
    for name in CALLS:
        engine, _ = connect(lambda *_: http(BODIES[body]))
        error = call_safely(engine, name)
        if name in ("info", "wait", "inspect", "find_image", "create"):
            assert error is not None, name
            assert "cannot" in error.message, name
            assert error.remedy, name


RESPONSES: dict[str, bytes] = {
    "closed": b"",
    "not http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "absurd status": b"HTTP/1.1 99999999 WHAT\r\n\r\n",
    "no status": b"HTTP/1.1 \r\n\r\n",
    "too long": b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{}",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "redirect": http(b"", "302 Found", "Location: http://example.org/\r\n"),
    "error page": http(b"<html>502</html>" * 1000, "502 Bad Gateway"),
    "error without reason": http(b"", "500 Internal Server Error"),
    "error with a list": http(b"[1]", "500 Internal Server Error"),
    "error with garbage": http(b"\xff\x00", "404 Not Found"),
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
}


@pytest.mark.parametrize("response", RESPONSES, ids=lambda name: name.replace(" ", "-"))
def test_a_malformed_response_is_an_error_of_the_engine(response: str, connect: Any) -> None:
    for name in CALLS:
        engine, _ = connect(lambda *_: RESPONSES[response])
        error = call_safely(engine, name)
        quiet = name == "attach" or (response == "error with garbage" and "404" in str(RESPONSES[response]))
        assert error is not None or quiet, name


@pytest.mark.parametrize("version", ["", "x", "1", "1.x", "²³.1", "9" * 5000 + ".1", "1.41.7", "-1.-1"])
def test_a_malformed_version_is_an_error_of_the_engine(version: str, connect: Any) -> None:
    engine, server = connect(lambda *_: http(b"{}"))
    server.ping = http(b"", headers=f"Api-Version: {version}\r\n")
    with pytest.raises(EngineError, match="get the engine's API version"):
        engine.info()


def test_a_malformed_answer_to_a_build_is_an_error_of_the_engine(connect: Any, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    request = BuildRequest(tmp_path, "localrun/build:x", "Dockerfile")
    for body in BODIES.values():
        engine, _ = connect(
            lambda _method, path, body=body: http(body if path.startswith("/build") else b"{}")
        )
        with pytest.raises(LocalrunError) as caught:
            engine.build_image(request)
        assert caught.value.cause is not Cause.INTERNAL


# -- containers whose creation is not confirmed ------------------------------------------------------


class LossyEngine:
    """Creates containers, and loses the answers to the first `lost` creations."""

    def __init__(self, lost: int = 1, labels: dict[str, str] | None = None, answer: bytes = b"") -> None:
        self.lost = lost
        self.answer = answer
        self.labels = dict(SPEC.labels) if labels is None else labels
        self.containers: set[str] = set()

    def __call__(self, method: str, path: str) -> bytes:
        if path.startswith("/containers/create"):
            if "localrun-x" in self.containers:
                reason = "Conflict. The container name /localrun-x is already in use by container 1."
                return http(json.dumps({"message": reason}).encode(), "409 Conflict")
            self.containers.add("localrun-x")
            self.lost -= 1
            return self.answer if self.lost >= 0 else http(b'{"Id": "abc"}', "201 Created")
        if method == "GET" and path == "/containers/localrun-x/json":
            if not self.containers:
                return http(b'{"message": "No such container: localrun-x"}', "404 Not Found")
            return http(json.dumps({"Id": "abc", "Config": {"Labels": self.labels}}).encode())
        if method == "GET" and path == "/containers/abc/json":
            return http(b'{"HostConfig": {"NetworkMode": "none"}, "NetworkSettings": {}}')
        if method == "DELETE" and path.startswith("/containers/abc"):
            self.containers.clear()
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        raise AssertionError(path)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 20", http(b"{}"), http(b"<html>"), http(b'{"Id": 7}')])
def test_a_container_is_removed_if_the_answer_to_its_creation_is_lost(answer: bytes, connect: Any) -> None:
    lossy = LossyEngine(answer=answer)
    engine, _ = connect(lossy)
    with pytest.raises(EngineError, match=r"lost the connection|invalid answer"):
        engine.create(SPEC)
    assert not lossy.containers


def test_a_container_of_a_lost_creation_does_not_block_the_next_one(connect: Any) -> None:
    lossy = LossyEngine(lost=0)
    lossy.containers.add("localrun-x")  # left by a process that was killed
    engine, _ = connect(lossy)
    assert engine.create(SPEC) == "abc"


def test_a_container_of_the_user_with_the_same_name_is_not_removed(connect: Any) -> None:
    lossy = LossyEngine(lost=0, labels={})
    lossy.containers.add("localrun-x")
    engine, _ = connect(lossy)
    with pytest.raises(EngineError, match="already in use"):
        engine.create(SPEC)
    assert lossy.containers
