"""The configuration of a build client: docker's own, without credential helpers that would stop a build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import BuildRequest, EngineImage
from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.api import Api
from localrun.engines.dockerd.builders import client_config
from localrun.engines.dockerd.builders.buildkit import BuildKitBuild
from localrun.engines.dockerd.builders.client_config import ClientConfig
from localrun.engines.dockerd.builders.clients import BuildClient
from localrun.engines.dockerd.builders.dockerfiles import prepare
from localrun.engines.dockerd.builders.process import Processes
from localrun.engines.dockerd.images import DockerImages
from localrun.engines.dockerd.transport import Transport
from tests.support.docker_files import write_config, write_helper


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's own folder. PATH has a helper that works, and one that fails."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    write_helper(programs, "works", "echo '{}'")
    write_helper(programs, "broken", "exit 1")
    return tmp_path / "docker"


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The folder of the build."""
    folder = tmp_path / "build"
    folder.mkdir()
    return folder


def content(config: ClientConfig) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((config.folder / "config.json").read_text())
    return found


@pytest.mark.parametrize(
    "given", [{}, {"auths": {}}, {"credsStore": "works"}, {"credHelpers": {"x": "works"}}, {"credsStore": ""}]
)
def test_dockers_own_folder_is_used_if_its_helpers_work(
    own: Path, temporary: Path, given: dict[str, Any]
) -> None:
    write_config(own, **given)
    found = ClientConfig(own, temporary)
    assert (found.folder, found.variables) == (own, [])


def test_a_helper_that_fails_is_left_out_and_everything_else_is_kept(own: Path, temporary: Path) -> None:
    kept = {"auths": {"x": {"auth": "YTpi"}}, "proxies": {"default": {"httpProxy": "http://p"}}}
    write_config(own, credsStore="broken", credHelpers={"a": "works", "b": "broken"}, **kept)
    found = ClientConfig(own, temporary)
    assert content(found) == {**kept, "credHelpers": {"a": "works"}}
    assert "docker-credential-broken" in found.file.problems[0]


def test_a_store_that_works_is_kept_without_a_helper_that_fails(own: Path, temporary: Path) -> None:
    write_config(own, credsStore="works", credHelpers={"b": "broken"})
    assert content(ClientConfig(own, temporary)) == {"credsStore": "works", "credHelpers": {}}


def test_the_copy_is_private_and_the_client_keeps_its_state(own: Path, temporary: Path) -> None:
    write_config(own, credsStore="broken")
    found = ClientConfig(own, temporary)
    assert (found.folder / "config.json").stat().st_mode & 0o777 == 0o600
    assert found.variables == [f"BUILDX_CONFIG={own / 'buildx'}"]


def test_all_helpers_can_be_left_out(own: Path, temporary: Path) -> None:
    write_config(own, credsStore="works", credHelpers={"b": "works"}, auths={})
    found = ClientConfig(own, temporary)
    found.remove_helpers()
    assert content(found) == {"auths": {}}
    assert not found.has_helpers


def test_a_folder_that_is_not_writable_keeps_no_state(
    own: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_config, "_is_writable", lambda _: False)
    found = ClientConfig(own, temporary)
    assert found.variables == [f"BUILDX_CONFIG={temporary / 'state'}"]


# fails as BuildKit does if the helper of its DOCKER_CONFIG fails for a registry
CLIENT = """#!/bin/sh
if grep -q credsStore "$DOCKER_CONFIG/config.json"; then
    echo 'ERROR: failed to solve: error getting credentials - err: exit status 1, out: ``'
    exit 1
fi
"""


class NoEngine(DockerImages):
    """The images of an engine that has each image that was built."""

    def find_image(self, reference: str, platform: str = "") -> EngineImage | None:
        return None

    def require_image(self, reference: str, platform: str = "") -> EngineImage:
        return EngineImage("sha256:1", "linux", "amd64", 1, tags=(reference,))


def test_a_build_that_fails_for_a_helper_is_tried_without_it(own: Path, tmp_path: Path) -> None:
    # Given a helper that lists its registries, and has no credentials for the one of the build
    write_config(own, credsStore="works")
    program = tmp_path / "buildx"
    program.write_text(CLIENT)
    program.chmod(0o755)
    (tmp_path / "Dockerfile").write_text("FROM lab.example/x\n")
    address = Address("unix:///none")
    client, processes, warnings = BuildClient("buildx", program), Processes(), list[str]()
    build = BuildKitBuild(NoEngine(Api(Transport(address)), own), address, client, processes)

    # When
    request = BuildRequest(tmp_path, "name:1")
    made = build.run(request, lambda *_: None, prepare(request), "28", warnings.append)

    # Then
    assert made.tags == ("name:1",)
    (warning,) = warnings
    assert str(own / "config.json") in warning
    assert "error getting credentials" in warning
