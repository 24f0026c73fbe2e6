"""Credentials for registries: what cannot be used is a warning, and nothing prevents a pull or a build."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.dockerd.configuration import credentials
from localrun.engines.dockerd.configuration.credentials import (
    all_registry_auth,
    failed_helpers,
    registry_auth,
)
from localrun.engines.dockerd.configuration.file import ConfigFile
from tests.support.docker_files import write_config, write_helper

ADA = base64.b64encode(b"ada:hunter22").decode()
WORKING = """
case "$1" in
list) echo '{"https://helped.example": "eve"}' ;;
get) echo '{"ServerURL": "x", "Username": "eve", "Secret": "s3cret"}' ;;
esac
"""


def decoded(header: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(header)) if header else None


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of PATH for credential helpers."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def test_a_login_is_used_for_its_registry(tmp_path: Path) -> None:
    write_config(tmp_path, auths={"lab.example": {"auth": ADA}})
    config = ConfigFile(tmp_path)
    found = decoded(registry_auth(config, "lab.example/image"))
    assert (found["username"], found["password"]) == ("ada", "hunter22")
    assert registry_auth(config, "other.example/image") == ""
    assert decoded(all_registry_auth(config))["lab.example"]["username"] == "ada"
    assert config.problems == []


def test_a_helper_is_used_for_its_registry(tmp_path: Path, programs: Path) -> None:
    write_helper(programs, "works", WORKING)
    write_config(tmp_path, credHelpers={"helped.example": "works"})
    config = ConfigFile(tmp_path)
    assert decoded(registry_auth(config, "helped.example/image"))["Password"] == "s3cret"
    assert registry_auth(config, "other.example/image") == ""
    assert failed_helpers(config) == set()
    write_config(tmp_path, credsStore="works")
    assert "helped.example" in decoded(all_registry_auth(ConfigFile(tmp_path)))


def test_a_registry_that_a_helper_does_not_know_is_no_problem(tmp_path: Path, programs: Path) -> None:
    write_helper(programs, "empty", "echo 'credentials not found in native keychain'; exit 1")
    write_config(tmp_path, credsStore="empty", auths={"lab.example": {"auth": ADA}})
    config = ConfigFile(tmp_path)
    assert decoded(registry_auth(config, "lab.example/image"))["username"] == "ada"
    assert config.problems == []


FAILING = [
    (None, "it is not installed"),
    ("exit 3", "exit code 3"),
    ("echo 'the keychain is locked'; exit 1", "the keychain is locked"),
    ("echo nonsense", "it did not print credentials as JSON"),
    ("echo '[]'", "it did not print credentials as JSON"),
    ("""echo '{"Username": 5, "Secret": {}}'""", "it did not print credentials as JSON"),
    ("printf '\\377\\376'", "it did not print credentials as JSON"),
    ("kill -9 $$", "exit code -9"),
]


@pytest.mark.parametrize(("script", "reason"), FAILING)
@pytest.mark.parametrize("setting", ["credsStore", "credHelpers"])
def test_a_helper_that_fails_is_a_warning_and_the_others_are_used(
    tmp_path: Path, programs: Path, script: str | None, reason: str, setting: str
) -> None:
    if script is not None:
        write_helper(programs, "broken", script)
    value: Any = "broken" if setting == "credsStore" else {"lab.example": "broken"}
    write_config(tmp_path, **{setting: value}, auths={"lab.example": {"auth": ADA}})

    config = ConfigFile(tmp_path)
    assert decoded(registry_auth(config, "lab.example/image"))["username"] == "ada"
    (problem,) = config.problems
    assert "docker-credential-broken" in problem
    assert reason in problem
    assert str(config.path) in problem

    config = ConfigFile(tmp_path)
    assert decoded(all_registry_auth(config))["lab.example"]["username"] == "ada"
    assert config.problems


@pytest.mark.parametrize(("script", "reason"), [row for row in FAILING if "Username" not in (row[0] or "")])
def test_a_helper_that_does_not_list_its_registries_has_failed(
    tmp_path: Path, programs: Path, script: str | None, reason: str
) -> None:
    if script is not None:
        write_helper(programs, "broken", script)
    write_helper(programs, "works", WORKING)
    write_config(tmp_path, credsStore="broken", credHelpers={"x": "works"})
    config = ConfigFile(tmp_path)
    assert failed_helpers(config) == {"broken"}
    assert reason in config.problems[0]


def test_a_helper_that_hangs_is_ended_with_its_children(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "PATIENCE", 0.2)
    write_helper(programs, "hangs", "sleep 600; echo")
    write_config(tmp_path, credsStore="hangs")
    config = ConfigFile(tmp_path)
    assert registry_auth(config, "lab.example/image") == ""
    assert "no answer within 0.2 s" in config.problems[0]


@pytest.mark.parametrize("name", ["../x", "a/b", "a b", "\x00", "x" * 5000, "-"])
def test_any_name_of_a_helper_is_only_looked_up(tmp_path: Path, name: str) -> None:
    write_config(tmp_path, credsStore=name)
    config = ConfigFile(tmp_path)
    assert registry_auth(config, "lab.example/image") == all_registry_auth(config) == ""
    assert config.problems


@pytest.mark.parametrize(
    "entry",
    [
        5,
        [],
        "text",
        None,
        {"auth": 5},
        {"auth": "hunter22!"},
        {"auth": base64.b64encode(b"hunter22").decode()},
    ],
)
def test_a_malformed_login_is_a_warning_without_its_content_and_the_others_are_used(
    tmp_path: Path, entry: Any
) -> None:
    write_config(tmp_path, auths={"bad.example": entry, "lab.example": {"auth": ADA}})
    for repository in ("lab.example/x", "bad.example/x"):
        config = ConfigFile(tmp_path)
        header = registry_auth(config, repository)
        assert bool(header) == repository.startswith("lab")
        (problem,) = config.problems
        assert "auths.bad.example" in problem
        assert "hunter22" not in problem


@pytest.mark.parametrize(
    "content",
    [{"auths": []}, {"auths": 3}, {"credHelpers": []}, {"credHelpers": {"x": 3}}, {"credsStore": 7}],
)
def test_a_section_of_another_kind_is_a_warning(tmp_path: Path, content: dict[str, Any]) -> None:
    write_config(tmp_path, **content)
    config = ConfigFile(tmp_path)
    assert registry_auth(config, "lab.example/image") == all_registry_auth(config) == ""
    assert next(iter(content)) in config.problems[0]


def test_values_that_the_engine_would_refuse_are_left_out(tmp_path: Path) -> None:
    write_config(tmp_path, auths={"a.example": {"auth": ADA, "email": 5}, "b.example": {"identitytoken": 7}})
    config = ConfigFile(tmp_path)
    assert all(isinstance(value, str) for value in decoded(registry_auth(config, "a.example/x")).values())
    assert registry_auth(config, "b.example/x") == ""


@pytest.mark.parametrize("repository", ["-x.example/y", "a//b", "/", "https://x/y"])
def test_no_name_of_an_image_is_a_failure_here(tmp_path: Path, repository: str) -> None:
    write_config(tmp_path, auths={"lab.example": {"auth": ADA}})
    assert registry_auth(ConfigFile(tmp_path), repository) == ""
