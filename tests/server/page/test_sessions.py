from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.server.page.registration import registered, running_servers
from localrun.server.page.sessions import Sessions
from tests.support.server_client import ServerEnvironment, add, serve_environment

AUTH = {"authorization": "Bearer secret-token"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add, token="secret-token") as env:
        yield env


def test_a_code_works_once_and_for_a_while() -> None:
    now = [0.0]
    sessions = Sessions("token", lambda: now[0])
    first, second, third = (sessions.make_code() for _ in range(3))
    assert len(first) >= 32
    assert [sessions.redeem(first), sessions.redeem(first)] == [True, False]
    now[0] = 899.0
    assert sessions.redeem(second)
    now[0] = 901.0
    assert not sessions.redeem(third)
    assert not sessions.redeem("")


def test_the_number_of_codes_is_limited() -> None:
    sessions = Sessions("token")
    codes = [sessions.make_code() for _ in range(300)]
    assert not sessions.redeem(codes[0])
    assert sessions.redeem(codes[-1])


def test_a_page_exchanges_a_code_for_the_token(served: ServerEnvironment) -> None:
    code = served.site.sessions.make_code()
    answer = served.client.post("/session", json={"code": code})
    assert (answer.status_code, answer.json()) == (200, {"token": "secret-token"})
    again = served.client.post("/session", json={"code": code})
    assert again.status_code == 401
    assert "secret-token" not in again.text
    assert served.client.post("/session", json={}).status_code == 422
    other = served.client.post("/session", json={"code": code}, headers={"origin": "http://evil.com"})
    assert other.status_code == 403


def test_a_code_is_made_with_the_token_or_the_key_of_the_server(served: ServerEnvironment) -> None:
    assert served.client.post("/session/codes").status_code == 401
    key = {"authorization": f"Bearer {served.site.sessions.key}"}
    for headers in (AUTH, key):
        code = served.client.post("/session/codes", headers=headers).json()["code"]
        assert served.client.post("/session", json={"code": code}).json()["token"] == "secret-token"
    assert served.client.get("/task/list", headers=key).status_code == 401  # it allows nothing else


def test_the_session_says_whether_a_token_is_needed(served: ServerEnvironment) -> None:
    found = served.client.get("/session").json()
    assert (found["token_required"], found["home"]) == (True, "")
    assert served.client.get("/session", headers=AUTH).json()["home"] == served.folder.name


def test_without_a_token_any_code_is_fine(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        assert env.client.get("/session").json()["token_required"] is False
        assert env.client.post("/session", json={"code": "x"}).json() == {"token": None}
        found = env.client.post("/session/tickets", json={"path": "/task/a/outputs/b"}).json()
        assert found["url"] == "/task/a/outputs/b"


def test_a_ticket_downloads_one_file_once(served: ServerEnvironment) -> None:
    created = served.client.post(
        "/task", json={"task": served.bundle(a=3, b=4), "assigned_by": "x"}, headers=AUTH
    )
    task_id = created.json()["task_id"]
    served.client.get(f"/task/{task_id}/wait?timeout=60", headers=AUTH)
    path = f"/task/{task_id}/outputs/sum"
    assert served.client.get(path).status_code == 401
    url = served.client.post("/session/tickets", json={"path": path}, headers=AUTH).json()["url"]
    answer = served.client.get(url)
    assert (answer.status_code, answer.content) == (200, b"7")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert served.client.get(url).status_code == 401
    log = f"/task/{task_id}/logs?tail=5"
    url = served.client.post("/session/tickets", json={"path": log}, headers=AUTH).json()["url"]
    assert served.client.get(url).status_code == 200


@pytest.mark.parametrize("other", ["outputs/other", "inputs/a", "outputs/sum/0"])
def test_a_ticket_is_for_its_path_only(served: ServerEnvironment, other: str) -> None:
    ticket = served.site.sessions.make_ticket("/task/x/outputs/sum")
    assert served.client.get(f"/task/x/{other}?ticket={ticket}").status_code == 401
    ticket = served.site.sessions.make_ticket("/task/x/outputs/sum")
    assert served.client.post(f"/task/x/kill?ticket={ticket}").status_code == 401
    assert served.client.get(f"/task/list?ticket={ticket}").status_code == 401


def test_an_encoded_path_has_a_ticket_too(served: ServerEnvironment) -> None:
    ticket = served.site.sessions.make_ticket("/task/x/outputs/my%20mask?x=1")
    assert served.site.sessions.use_ticket(ticket, "/task/x/outputs/my mask")


@pytest.mark.parametrize(
    "path", ["/tasks", "/task/x", "http://evil.com/task/x/y", "//evil.com/task/x/y", "/task//x"]
)
def test_a_ticket_for_anything_else_is_422(served: ServerEnvironment, path: str) -> None:
    answer = served.client.post("/session/tickets", json={"path": path}, headers=AUTH)
    assert answer.status_code == 422
    assert served.client.post("/session/tickets", json={"path": "/task/x/y"}).status_code == 401


def test_a_running_server_is_found_and_a_dead_one_is_not(tmp_path: Path) -> None:
    home = tmp_path / ".localrun"
    assert running_servers(home) == []
    with registered(home, "http://127.0.0.1:8000", "the key"):
        (path,) = (home / "servers").iterdir()
        assert path.stat().st_mode & 0o777 == 0o600
        assert running_servers(home) == [("http://127.0.0.1:8000", "the key")]
        (home / "servers" / "1-1.json").write_text('{"url": "http://127.0.0.1:1", "key": "k"}')
        assert len(running_servers(home)) == 1
    assert list((home / "servers").iterdir()) == []
