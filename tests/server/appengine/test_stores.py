"""Stores, and the installation of tasks from the default one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.app_engine_client import AppEngineEnvironment, assert_deviates, serve_app_engine
from tests.support.bundles import bundle
from tests.support.environment import DESCRIPTOR
from tests.support.server_client import live

TASK = "tasks/com.example.add/1.0.0"


@pytest.fixture
def env(tmp_path: Path) -> Iterator[AppEngineEnvironment]:
    with serve_app_engine(tmp_path) as env:
        yield env


def new_store(env: AppEngineEnvironment, **fields: Any) -> Any:
    response = env.request("POST", "stores", json={"name": "a", "host": "http://a", **fields})
    assert response.status_code == 200
    return response.json()


def test_a_store_is_added_and_is_not_the_default_one(env: AppEngineEnvironment) -> None:
    store = new_store(env, defaultStore=True, id="x", more=1)
    assert store == {
        "id": str(uuid.UUID(store["id"])),
        "name": "a",
        "host": "http://a",
        "defaultStore": False,
    }
    assert env.get("stores").json() == [store]
    assert env.get("stores/default").json() is None


@pytest.mark.parametrize("fields", [{"name": " "}, {"host": ""}, {"name": None}, {"host": 3}])
def test_a_blank_name_or_host_is_refused(env: AppEngineEnvironment, fields: dict[str, Any]) -> None:
    response = env.request("POST", "stores", json={"name": "a", "host": "http://a", **fields})
    assert response.status_code == 400
    found = response.json()
    assert found["errorCode"] == "APPE-internal-invalid-store-data"
    assert found["message"] == "invalid store data"
    assert env.get("stores").json() == []


def test_the_same_store_is_refused(env: AppEngineEnvironment) -> None:
    new_store(env)
    response = env.request("POST", "stores", json={"name": "a", "host": "http://a"})
    assert response.status_code == 400
    assert response.json()["errorCode"] == "APPE-internal-store-exists"
    assert response.json()["message"] == "store already exists"
    new_store(env, host="http://b")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"[" * 100_000])
def test_a_body_that_is_not_an_object_is_refused(env: AppEngineEnvironment, content: bytes) -> None:
    response = env.request("POST", "stores", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json() == {
        "errorCode": "APPE-internal-task-run-state-error",
        "message": "unknown state in transition request",
        "details": {"type": "empty"},
    }


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}])
def test_a_body_of_another_type_is_an_error_of_the_server(
    env: AppEngineEnvironment, headers: dict[str, str]
) -> None:
    response = env.request("POST", "stores", content=b'{"name": "a", "host": "b"}', headers=headers)
    assert response.status_code == 500
    assert response.json()["errorCode"] == "APPE-internal-server-error"
    assert env.get("stores").json() == []


def test_one_store_is_the_default_one(env: AppEngineEnvironment) -> None:
    first, second = new_store(env), new_store(env, name="b")
    for store in (first, second):
        response = env.request("PUT", f"stores/{store['id']}/default")
        assert (response.status_code, response.content) == (200, b"")
        assert env.get("stores/default").json() == {**store, "defaultStore": True}
    assert [store["defaultStore"] for store in env.get("stores").json()] == [False, True]


def test_an_unknown_default_store_is_not_found_and_the_old_one_is_kept(env: AppEngineEnvironment) -> None:
    store = new_store(env)
    env.request("PUT", f"stores/{store['id']}/default")
    response = env.request("PUT", f"stores/{uuid.UUID(int=1)}/default")
    assert response.status_code == 404
    assert response.json() == {
        "errorCode": "APPE-internal-store",
        "message": "store not found",
        "details": {"type": "empty"},
    }
    assert_deviates(response, "store_default")
    assert env.get("stores/default").json()["id"] == store["id"]


def test_a_store_is_removed_also_if_it_is_unknown(env: AppEngineEnvironment) -> None:
    store = new_store(env)
    for store_id in (store["id"], store["id"], str(uuid.UUID(int=1))):
        response = env.request("DELETE", f"stores/{store_id}")
        assert (response.status_code, response.content) == (204, b"")
    assert env.get("stores").json() == []


@pytest.mark.parametrize(("method", "path"), [("DELETE", "stores/x"), ("PUT", "stores/x/default")])
def test_an_id_of_a_store_that_is_not_a_uuid_is_refused(
    env: AppEngineEnvironment, method: str, path: str
) -> None:
    response = env.request(method, path)
    assert response.status_code == 400
    assert response.json()["message"] == "Invalid bundle format"


def test_stores_survive_a_restart(tmp_path: Path) -> None:
    with serve_app_engine(tmp_path) as env:
        store = new_store(env)
    with serve_app_engine(tmp_path) as env:
        assert env.get("stores").json() == [store]


# -- installation -------------------------------------------------------------------------------------


@contextmanager
def store_and_server(
    folder: Path, **options: Any
) -> Iterator[tuple[AppEngineEnvironment, str, AppEngineEnvironment]]:
    """A server as a store with its address, and another server."""
    for name in ("store", "here"):
        (folder / name).mkdir()
    with (
        serve_app_engine(folder / "store") as store,
        live(store.server.site) as url,
        serve_app_engine(folder / "here", **options) as env,
    ):
        yield store, url, env


def failure(env: AppEngineEnvironment) -> str:
    response = env.request("POST", f"{TASK}/install")
    assert response.status_code == 400
    found = response.json()
    assert found["errorCode"] == "APPE-appstore-download-failure"
    assert list((env.service.app.settings.home / "appengine" / "tasks").iterdir()) == []
    return str(found["details"]["description"])


def test_a_task_is_installed_from_the_default_store_as_an_upload(tmp_path: Path) -> None:
    with store_and_server(tmp_path) as (store, url, env):
        uploaded = store.upload()
        added = new_store(env, host=f"{url}/")
        env.request("PUT", f"stores/{added['id']}/default")
        response = env.request("POST", f"{TASK}/install")
        assert response.status_code == 200
        installed = response.json()
        assert installed == {**uploaded, "id": installed["id"]}
        assert env.get("tasks").json() == [installed]
        assert env.request("POST", f"{TASK}/install").status_code == 409
        response = env.request("POST", "tasks/com.example.add/2.0.0/install")
        assert response.json()["errorCode"] == "APPE-appstore-download-failure"
        assert "404" in response.json()["details"]["description"]


def test_an_installed_bundle_is_checked_as_an_upload(tmp_path: Path) -> None:
    with store_and_server(tmp_path) as (store, url, env):
        task = store.upload()
        broken = bundle(tmp_path, descriptor=DESCRIPTOR.replace("version: 1.0.0", "version:"))
        target = store.service.get_task(task["id"]).bundle
        target.write_bytes(broken.read_bytes())
        env.request("PUT", f"stores/{new_store(env, host=url)['id']}/default")
        response = env.request("POST", f"{TASK}/install")
        assert response.status_code == 400
        assert response.json()["errorCode"] == "APPE-internal-bundle-schema-validation-error"


def test_nothing_is_installed_without_a_default_store(env: AppEngineEnvironment) -> None:
    new_store(env)
    assert failure(env) == "there is no default store"


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("file:///etc", "not one of the web"),
        ("http://127.0.0.1:9", "download failed"),
        ("127.0.0.1:9", "download failed"),
    ],
)
def test_a_store_that_does_not_answer_is_a_download_failure(
    env: AppEngineEnvironment, host: str, words: str
) -> None:
    env.request("PUT", f"stores/{new_store(env, host=host)['id']}/default")
    assert words in failure(env)


def test_a_bundle_over_the_upload_limit_is_not_installed(tmp_path: Path) -> None:
    with store_and_server(tmp_path, upload_limit=1000) as (store, url, env):
        store.upload()
        env.request("PUT", f"stores/{new_store(env, host=url)['id']}/default")
        assert "larger than" in failure(env)
