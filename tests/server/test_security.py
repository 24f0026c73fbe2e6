from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.server.config import ServerOptions
from tests.support.server_client import serve_environment


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST"])
def test_the_servers_own_names_are_taken(tmp_path: Path, host: str) -> None:
    with serve_environment(tmp_path) as env:
        assert env.client.get("/heartbeat", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.com", "localhost.evil.com", "127.0.0.1.nip.io", "evil.com:8000", "localhost@evil.com"]
)
def test_a_name_that_somebody_else_made_lead_here_is_refused(tmp_path: Path, host: str) -> None:
    with serve_environment(tmp_path) as env:
        assert env.client.get("/heartbeat", headers={"host": host}).status_code == 421
        assert [line["data"]["status"] for line in env.lines("request_rejected")] == [421]


@pytest.mark.parametrize("host", ["", "[::1", "[x]"])
def test_a_host_that_is_no_name_is_refused(tmp_path: Path, host: str) -> None:
    with serve_environment(tmp_path) as env:
        assert env.client.get("/heartbeat", headers={"host": host}).status_code in (400, 421)


@pytest.mark.parametrize(
    "origin", ["http://evil.com", "null", "http://localhost:9999", "http://127.0.0.1:8000.evil.com", ""]
)
def test_a_page_of_another_site_cannot_make_a_task(tmp_path: Path, origin: str) -> None:
    with serve_environment(tmp_path) as env:
        response = env.client.post("/task", json={"task": {}, "assigned_by": "x"}, headers={"origin": origin})
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers
        assert env.client.get("/task/list").json()["active_tasks"] == []


def test_our_own_page_may_ask(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        found = env.client.get("/heartbeat", headers={"origin": "http://localhost:8000"})
    assert found.status_code == 200


def test_a_cross_site_post_without_an_origin_is_refused_and_a_link_is_not(tmp_path: Path) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    with serve_environment(tmp_path) as env:
        body = {"task": {}, "assigned_by": "x"}
        assert env.client.post("/task", json=body, headers=headers).status_code == 403
        assert env.client.get("/docs", headers=headers).status_code == 200


@pytest.mark.parametrize("given", [None, "Bearer wrong", "bearer", "Basic c2VjcmV0", "Bearer secret-token-x"])
def test_without_the_token_nothing_but_the_description_is_answered(tmp_path: Path, given: str | None) -> None:
    headers = {"authorization": given} if given else {}
    with serve_environment(tmp_path, token="secret-token") as env:
        response = env.client.get("/task/list", headers=headers)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
        assert env.client.get("/docs", headers=headers).status_code == 200
        assert env.client.get("/openapi.json", headers=headers).status_code == 200


def test_with_the_token_any_name_of_a_reachable_server_is_taken(tmp_path: Path) -> None:
    headers = {"authorization": "Bearer secret-token", "host": "box.example.com:8000"}
    with serve_environment(tmp_path, token="secret-token", host="0.0.0.0") as env:
        assert env.client.get("/task/list", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("172.17.0.1:8000", 200),
        ("[fd00::1]:8000", 200),
        ("host.docker.internal:8000", 200),
        ("localhost", 200),
        ("box.example.com", 200),
        ("evil.com", 421),
        ("172.17.0.1.evil.com", 421),
        ("172.17.0.1.nip.io:8000", 421),
    ],
)
def test_without_a_token_a_reachable_server_accepts_only_names_that_cannot_be_rebound(
    tmp_path: Path, host: str, status: int
) -> None:
    names = frozenset({"box.example.com"})
    with serve_environment(tmp_path, host="0.0.0.0", hosts=names) as env:
        assert env.client.get("/task/list", headers={"host": host}).status_code == status
        foreign = env.client.post("/task", json={}, headers={"host": host, "origin": "http://evil.com"})
        assert foreign.status_code in (403, 421)


def test_a_loopback_server_accepts_no_other_address(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        assert env.client.get("/heartbeat", headers={"host": "172.17.0.1"}).status_code == 421


def test_a_body_that_says_it_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with serve_environment(tmp_path, body_limit=1000) as env:
        response = env.client.post("/task", content=b" " * 1001)
    assert (response.status_code, response.json()) == (
        413,
        {"detail": "The request body is larger than 1000 B"},
    )


def test_a_body_that_does_not_say_its_length_is_counted(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 100

    with serve_environment(tmp_path, body_limit=1000) as env:
        assert env.client.post("/task", content=pieces()).status_code == 413
        assert [line["data"]["status"] for line in env.lines("request_rejected")] == [413]


def test_uploads_have_a_limit_of_their_own(tmp_path: Path) -> None:
    with serve_environment(tmp_path, body_limit=10, upload_limit=1000) as env:
        task_id = env.env.app.manager.create_task(
            env.bundle(a=1), find_bundle=env.site.bundle_store.find_bundle
        ).id
        place = f"/task/{task_id}/inputs/b"
        assert env.client.put(place, content=b"1" * 1001).status_code == 413
        assert env.client.put(place, content=iter([b"1" * 600, b"1" * 600])).status_code == 413
        assert env.client.put(place, content=b"000000000000002").status_code == 200


def test_the_token_is_not_shown_with_the_options() -> None:
    assert "secret" not in repr(ServerOptions(token="secret"))
