"""The options of `localrun serve`."""

from __future__ import annotations

from typing import Any

import pytest

from localrun.errors import UsageError
from localrun.server.config import ServerOptions, server_options
from localrun.settings import Settings
from tests.cli.command import Command

DEFAULTS: dict[str, Any] = {
    "host": "127.0.0.1",
    "token": None,
    "names": (),
    "allow_unauthenticated": False,
    "bundles": (),
    "api_prefixes": (),
    "clusters": (),
}


def options(**given: Any) -> ServerOptions:
    return server_options(Settings(), **DEFAULTS | given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), ("/app-engine/", "/api/")),
        (("/here",), ("/here/",)),
        (("/here/v1/", "/"), ("/here/", "/")),
    ],
)
def test_the_prefixes_of_app_engines_api_can_be_chosen(
    given: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert options(api_prefixes=given).api_prefixes == expected


@pytest.mark.parametrize("prefix", ["/ui/", "/a b/"])
def test_an_unsuitable_prefix_is_refused(localrun: Command, prefix: str) -> None:
    done = localrun("serve", "--api-prefix", prefix)
    assert done.code == 2
    assert "API prefix" in done.err
    assert "use a path such as /app-engine/" in done.err


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace the server; the list gets the state of each one that is started."""
    sites: list[Any] = []
    monkeypatch.setattr("localrun.server.uvicorn_server.serve", lambda _, site, __: sites.append(site))
    monkeypatch.delenv("LOCALRUN_TOKEN", raising=False)
    return sites


def test_another_address_requires_a_token(localrun: Command, started: list[Any]) -> None:
    refused = localrun("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.code == 2
    assert "without a token would let other machines run containers here" in refused.err
    assert "--allow-unauthenticated" in refused.err
    assert started == []


def test_allow_unauthenticated_serves_another_address_and_explains_the_risk(
    localrun: Command, started: list[Any]
) -> None:
    served = localrun("serve", "--host", "0.0.0.0", "--port", "0", "--allow-unauthenticated")
    assert served.code == 0
    assert "warning: everyone who can reach 0.0.0.0 can run containers as this user" in served.err
    assert [site.options.token for site in started] == [None]


def test_a_loopback_server_has_no_risk_to_explain(localrun: Command, started: list[Any]) -> None:
    assert "everyone who can reach" not in localrun("serve", "--port", "0", "--allow-unauthenticated").err
    assert len(started) == 1


def test_allow_unauthenticated_is_a_setting_of_the_user_and_not_of_a_project(
    localrun: Command, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALRUN_SERVER_ALLOW_UNAUTHENTICATED", "true")
    assert localrun("serve", "--host", "0.0.0.0", "--port", "0").code == 0
    monkeypatch.delenv("LOCALRUN_SERVER_ALLOW_UNAUTHENTICATED")
    project = localrun.folder / "project"
    project.mkdir()
    (project / "localrun.toml").write_text("[server]\nallow_unauthenticated = true\n")
    monkeypatch.chdir(project)
    refused = localrun("serve", "--host", "0.0.0.0", "--port", "0")
    assert (refused.code, len(started)) == (2, 1)
    assert "allow_unauthenticated" in refused.err


def test_a_token_and_allow_unauthenticated_exclude_each_other(localrun: Command, started: list[Any]) -> None:
    refused = localrun("serve", "--host", "0.0.0.0", "--token", "x", "--allow-unauthenticated")
    assert refused.code == 2
    assert "--allow-unauthenticated has no effect with a token" in refused.err
    assert started == []


def test_clusters_for_batches_are_checked_at_the_start() -> None:
    assert options(clusters=("tcp://head:8786", "local:2")).clusters == ("tcp://head:8786", "local:2")
    with pytest.raises(UsageError, match="invalid cluster address 'head:8786'"):
        options(clusters=("head:8786",))
