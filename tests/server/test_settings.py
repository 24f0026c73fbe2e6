"""Settings files complete the tasks that clients submit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import asdict

from localrun.errors import UsageError
from localrun.server.config import server_options
from localrun.settings import Settings, load
from localrun.settings.model import Defaults, LoadedSettings
from tests.support.server_client import ServerEnvironment, add, serve_environment


def with_defaults_of(env: ServerEnvironment, defaults: Defaults) -> None:
    app = env.site.app
    loaded = LoadedSettings(**asdict(app.settings) | {"defaults": defaults})
    app.settings = app.manager._settings = loaded


@pytest.fixture
def env(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


def test_a_request_is_completed_by_the_settings_of_the_server(env: ServerEnvironment) -> None:
    with_defaults_of(env, Defaults(run={"timeout": 60.0, "retries": 2}, inputs={"b": 4, "c": 5}))
    task_id = env.post({**env.bundle(a=3), "timeout": 30})["task_id"]
    assert env.wait(task_id)["outputs"] == {"sum": 7}
    record = env.site.get_record(task_id)
    assert (record.timeout, record.run_plan.retries) == (30, 2)
    assert any("unknown input 'c' is ignored" in warning for warning in record.warnings)


def test_network_that_needs_trust_is_refused_to_a_client_too(env: ServerEnvironment, tmp_path: Path) -> None:
    from localrun.errors import Problem

    problem = Problem("network", "the settings of this project open the network", "trust it")
    with_defaults_of(env, Defaults(run={"network": True}, blocked={"network": problem}))
    answer = env.client.post("/task", json={"task": env.bundle(a=3, b=4), "assigned_by": "ray"})
    assert answer.status_code == 422
    assert "are not trusted" in answer.text
    assert env.wait(env.post({**env.bundle(a=3, b=4), "network": False})["task_id"])["state"] == "FINISHED"


def test_the_mounts_of_the_server_can_be_run_again(env: ServerEnvironment, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    with_defaults_of(env, Defaults(run={"mounts": [f"{tmp_path}/src:/app"]}))
    task_id = env.run(a=3, b=4)
    env.wait(task_id)
    assert env.site.get_record(task_id).run_plan.bind_mounts
    assert env.client.post(f"/task/{task_id}/rerun", json={}).status_code == 200
    with_defaults_of(env, Defaults())
    assert env.client.post(f"/task/{task_id}/rerun", json={}).status_code != 200


def test_a_server_of_an_asgi_host_reads_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "localrun.toml").write_text('[server]\nheartbeat = "1m"\nbundles = ["more"]\n')
    (tmp_path / "more").mkdir()
    made = server_options(load({}), token=None, names=("testserver",))
    assert (made.heartbeat, made.bundles) == (60.0, (tmp_path / "more",))
    assert server_options(Settings()).bundles == (tmp_path,)


def test_a_host_in_the_file_of_the_user_needs_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    user = tmp_path / ".config" / "localrun" / "localrun.toml"
    user.parent.mkdir(parents=True)
    user.write_text('[server]\nhost = "0.0.0.0"\n')
    with pytest.raises(UsageError, match="without a token"):
        server_options(load({"HOME": str(tmp_path)}))
    user.write_text('[server]\nhost = "0.0.0.0"\ntoken = "hunter22"\n')
    assert server_options(load({"HOME": str(tmp_path)})).token == "hunter22"
