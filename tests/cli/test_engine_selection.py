"""The engine that docker would use, from the command line: what was chosen, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localrun.cli.exit_codes import ExitCode
from tests.cli.command import Result, call
from tests.support.docker_files import write_config, write_context, write_helper
from tests.support.environment import DESCRIPTOR
from tests.support.samples import remove_new_images


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The folder of a bundle."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Docker's folder."""
    folder = tmp_path / "docker"
    folder.mkdir()
    return folder


Localrun = Callable[..., Result]


@pytest.fixture
def localrun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Localrun:
    """Call a command with some variables, and none of docker's but these."""
    places = {"LOCALRUN_HOME": str(tmp_path / "home"), "LOCALRUN_CACHE": str(tmp_path / "cache")}
    none = {"DOCKER_HOST": "", "DOCKER_CONTEXT": "", "DOCKER_CONFIG": str(tmp_path / "docker")}

    def run(*arguments: object, **env: str) -> Result:
        return call(*arguments, cwd=tmp_path, env={**none, **places, **env}, capsys=capsys)

    return run


def engine_check(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = next(
        check for check in json.loads(result.out)["checks"] if check["name"] == "engine"
    )
    return found


VALUES = ("-i", "a=3", "-i", "b=4", "--image", "localhost:1/localrun-test/none:1")


def test_a_run_with_a_context_that_does_not_exist_uses_no_other_engine(
    tmp_path: Path, bundle: Path, config: Path, localrun: Localrun
) -> None:
    result = localrun("run", bundle, *VALUES, DOCKER_CONTEXT="gone")
    assert result.code == ExitCode.ENGINE_OR_HOST
    assert "the docker context 'gone' does not exist" in result.err
    assert str(config) in result.err
    assert "unset DOCKER_CONTEXT" in result.err


def test_doctor_names_the_context_that_it_cannot_use(
    tmp_path: Path, config: Path, localrun: Localrun
) -> None:
    write_config(config, currentContext="gone")
    check = engine_check(localrun("doctor", "--json"))
    assert check["status"] == "fail"
    assert check["facts"]["context"] == "gone"
    assert check["facts"]["source"] == f"currentContext of {config}/config.json"
    assert "docker context use default" in check["remedy"]


def test_doctor_says_which_address_it_tried_and_why(tmp_path: Path, config: Path, localrun: Localrun) -> None:
    write_context(config, "lab", {"Host": "tcp://127.0.0.1:1"})
    check = engine_check(localrun("doctor", "--json", DOCKER_CONTEXT="lab"))
    assert check["facts"]["address"] == "tcp://127.0.0.1:1"
    assert "'lab'" in check["facts"]["source"]
    assert "DOCKER_CONTEXT" in check["facts"]["source"]


@pytest.mark.docker
def test_doctor_says_which_engine_was_chosen_and_why(
    tmp_path: Path, docker_host: str | None, localrun: Localrun
) -> None:
    env = {"DOCKER_HOST": docker_host or "unix:///var/run/docker.sock"}
    check = engine_check(localrun("doctor", "--json", **env))
    assert (check["status"], check["facts"]["address"]) == ("ok", env["DOCKER_HOST"])
    assert check["facts"]["source"].startswith("DOCKER_HOST")
    assert "(DOCKER_HOST" in check["message"]


BROKEN = [
    *("[]", "17", "{", "\ufeff{}", '{"auths": []}', '{"auths": {"localhost:1": {"auth": "!"}}}'),
    *('{"credsStore": "missing"}', '{"credsStore": "talks"}', '{"credHelpers": {"localhost:1": "fails"}}'),
]


@pytest.mark.docker
@pytest.mark.parametrize("content", BROKEN)
def test_nothing_in_the_configuration_prevents_a_pull(
    tmp_path: Path, bundle: Path, config: Path, docker_host: str | None, content: str, localrun: Localrun
) -> None:
    (config / "config.json").write_text(content)
    write_helper(tmp_path, "fails", "exit 1")
    write_helper(tmp_path, "talks", "echo nonsense")
    env = {"DOCKER_HOST": docker_host or "", "PATH": f"{tmp_path}:/usr/bin:/bin"}
    result = localrun("run", bundle, *VALUES, "--json", **env)
    assert result.json["cause"] == "IMAGE_PULL_FAILED"
    (warning,) = result.json["warnings"]
    assert str(config / "config.json") in warning


@pytest.mark.docker
def test_proxies_reach_a_build_and_a_task_with_a_network_and_their_password_is_hidden(
    tmp_path: Path, bundle: Path, config: Path, docker_host: str | None, busybox: str, localrun: Localrun
) -> None:
    proxy = "http://ada:hunter22@127.0.0.1:1"
    write_config(config, proxies={"default": {"httpProxy": proxy}})
    show = 'echo "$HTTP_PROXY $http_proxy"'
    (bundle / "Dockerfile").write_text(
        f"FROM {busybox}\nRUN {show} > /built\nCMD cat /built; {show}; echo 7 > /outputs/sum\n"
    )
    env = {"DOCKER_HOST": docker_host or "", "LOCALRUN_BUILDER": "classic"}
    with remove_new_images(tmp_path / "home"):
        result = localrun("run", bundle, "-i", "a=3", "-i", "b=4", "--network", **env)
    assert result.code == ExitCode.FINISHED, result.err
    assert result.err.count("http://ada:***@127.0.0.1:1 http://ada:***@127.0.0.1:1") == 2  # build and task
    for path in (tmp_path / "home").rglob("*"):
        assert not path.is_file() or b"hunter22" not in path.read_bytes()
