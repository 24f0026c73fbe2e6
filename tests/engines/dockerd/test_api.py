"""The version of the engine's API, for engines older and newer than this code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.api import Api
from localrun.engines.dockerd.transport import Transport
from localrun.errors import EngineError
from tests.support.socket_engine import SocketEngine, http

Connect = Callable[..., tuple[Api, SocketEngine]]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    opened: list[SocketEngine | Transport] = []

    def start(newest: str, body: bytes = b"{}") -> tuple[Api, SocketEngine]:
        path = tmp_path / "engine.sock"
        ping = http(b"OK", headers=f"Api-Version: {newest}\r\n")
        server = SocketEngine(path, lambda *_: http(body), ping)
        transport = Transport(Address(f"unix://{path}"))
        opened.extend([transport, server])
        return Api(transport), server

    yield start
    for one in opened:
        one.close()


@pytest.mark.parametrize(("newest", "used"), [("1.40", "1.40"), ("1.41", "1.41"), ("1.51", "1.51")])
def test_an_older_engine_is_called_with_its_newest_version(newest: str, used: str, connect: Connect) -> None:
    api, server = connect(newest)
    assert api.version() == used
    assert len(server.requests) == 1  # nothing else is asked


@pytest.mark.parametrize(
    ("oldest", "used"),
    [("1.24", "1.51"), ("1.44", "1.51"), ("1.51", "1.51"), ("1.53", "1.53"), ("2.0", "2.0")],
)
def test_a_newer_engine_is_called_with_a_version_that_it_still_supports(
    oldest: str, used: str, connect: Connect
) -> None:
    api, _ = connect("2.1", json.dumps({"MinAPIVersion": oldest}).encode())
    assert api.version() == used


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"MinAPIVersion": "x"}', b'{"MinAPIVersion": null}'])
def test_a_newer_engine_that_does_not_report_its_oldest_version_is_tried(
    body: bytes, connect: Connect
) -> None:
    api, _ = connect("1.60", body)
    assert api.version() == "1.51"


def test_an_engine_that_is_too_old_is_refused_with_both_versions(connect: Connect) -> None:
    api, _ = connect("1.39")
    with pytest.raises(
        EngineError, match=r"its API version is 1\.39, localrun needs 1\.40 or newer"
    ) as caught:
        api.version()
    assert "Docker 20.10" in caught.value.remedy
