"""Probes of the server's health, which need no token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.errors import EngineUnreachable
from tests.support.server_client import ServerEnvironment, serve_environment


@pytest.fixture
def env(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, token="hunter22hunter22") as env:
        yield env


def test_probes_need_no_token_and_all_else_does(env: ServerEnvironment) -> None:
    assert env.client.get("/health/live").json()["status"] == "alive"
    assert env.client.get("/health/ready").json()["status"] == "ready"
    assert env.client.head("/health/live").status_code == 200
    assert env.client.get("/health").status_code == 401
    assert env.client.get("/heartbeat").status_code == 401


def test_a_server_without_an_engine_is_alive_and_not_ready(
    env: ServerEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise EngineUnreachable("no engine at unix:///secret/place", remedy="start it")

    monkeypatch.setattr(type(env.site.app.engine), "info", fail)
    assert env.client.get("/health/live").status_code == 200
    answer = env.client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json() == {"detail": "The container engine is unavailable"}
    assert env.client.get("/metrics", headers={"Authorization": "Bearer hunter22hunter22"}).status_code == 200


def test_a_foreign_host_name_gets_no_probe(env: ServerEnvironment) -> None:
    assert env.client.get("/health/live", headers={"Host": "evil.example"}).status_code == 421
