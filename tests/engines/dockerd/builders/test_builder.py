"""Which builder an engine has, and what it warns about before a build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import BuildRequest, BuildSecret, EngineInfo
from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.builders.builder import Builder
from localrun.engines.dockerd.builders.clients import Clients
from localrun.engines.dockerd.engine import DockerEngine
from localrun.errors import ImageError

NAME = "localrun-test/builder:1"


def builder(folder: Path, *, choice: Any = "classic", engine: str = "docker") -> Builder:
    images: Any = None
    info = EngineInfo(engine, "20.10", "linux", "amd64", cpus=1, memory=1, root="/")
    return Builder(images, Address("unix:///x"), Clients(choice, folder / "config"), lambda: info)


def request(folder: Path, text: str, **options: Any) -> BuildRequest:
    (folder / "Dockerfile").write_text(text)
    return BuildRequest(folder, NAME, **options)


def plugin(folder: Path) -> None:
    path = folder / "config" / "cli-plugins" / "docker-buildx"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\necho github.com/docker/buildx v0.29.1\n")
    path.chmod(0o755)


def test_only_the_classic_builder_warns(tmp_path: Path) -> None:
    asked = request(tmp_path, "FROM a\nARG TARGETARCH\n")
    assert builder(tmp_path).warnings(asked) == (
        "Dockerfile:2: TARGETARCH: the classic builder leaves it empty",
    )
    assert builder(tmp_path, engine="podman").warnings(asked) == ()
    plugin(tmp_path)
    assert builder(tmp_path, choice="auto").warnings(asked) == ()


def test_an_image_for_a_name_that_the_dockerfile_does_not_have_is_reported(tmp_path: Path) -> None:
    asked = request(tmp_path, "FROM a\n", contexts={"b": "docker-image://c"})
    assert builder(tmp_path).warnings(asked) == ("--build-context b: the Dockerfile does not use it",)


@pytest.mark.parametrize("choice", ["classic", "auto"])
def test_arguments_and_secrets_that_the_dockerfile_does_not_have_are_reported(
    tmp_path: Path, choice: str
) -> None:
    plugin(tmp_path)
    text = (
        "ARG BASE\nFROM $BASE\nARG ONE=1 TWO\nONBUILD ARG THREE\n"
        "RUN --mount=type=secret,id=tok --mount=type=secret,target=/run/key true\n"
    )
    names = ("BASE", "ONE", "TWO", "THREE", "HTTP_PROXY", "no_proxy", "BUILDKIT_INLINE_CACHE", "FOUR")
    secrets = ("tok", "key", "GIT_AUTH_TOKEN", "other")
    asked = request(
        tmp_path,
        text,
        build_args=dict.fromkeys(names, "x"),
        secrets=tuple(BuildSecret(name, variable=name, value="x") for name in secrets),
    )
    found = [warning for warning in builder(tmp_path, choice=choice).warnings(asked) if "--" in warning[:2]]
    assert found == [
        "--build-arg FOUR: the Dockerfile does not use it",
        "--build-secret other: the Dockerfile does not use it",
    ]


def test_a_missing_dockerfile_is_left_to_the_build(tmp_path: Path) -> None:
    assert builder(tmp_path).warnings(BuildRequest(tmp_path, NAME)) == ()


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_secrets_need_buildkit(tmp_path: Path, engine: str) -> None:
    asked = request(tmp_path, "FROM a\n", secrets=(BuildSecret("x", variable="X"),))
    with pytest.raises(ImageError, match="does not support build secrets") as raised:
        builder(tmp_path, engine=engine).build(asked, lambda *_: None, lambda _: None)
    assert raised.value.remedy


def test_the_builder_is_described_with_its_version_and_path(tmp_path: Path) -> None:
    classic = builder(tmp_path).describe()
    assert (classic.kind, classic.path, classic.version) == ("classic", "", "")
    assert "apt-get install docker-buildx" in classic.remedy
    assert builder(tmp_path, engine="podman").describe().kind == "buildah"
    plugin(tmp_path)
    found = builder(tmp_path, choice="auto").describe()
    assert (found.kind, found.version, found.remedy) == ("buildx", "v0.29.1", "")
    assert found.path.endswith("/cli-plugins/docker-buildx")


def test_images_of_different_builders_have_different_names(tmp_path: Path) -> None:
    classic, podman = builder(tmp_path), builder(tmp_path, engine="podman")
    before = (classic.identity(), podman.identity())
    plugin(tmp_path)
    assert len({*before, builder(tmp_path, choice="auto").identity()}) == 3
    assert classic.identity() == before[0]


@pytest.mark.docker
def test_the_classic_builder_uses_the_images_that_were_given(
    classic_engine: DockerEngine, busybox: str, tmp_path: Path
) -> None:
    asked = request(tmp_path, "FROM none:1\nRUN true\n", contexts={"none:1": f"docker-image://{busybox}"})
    try:
        assert classic_engine.build_image(asked).tags == (NAME,)
    finally:
        classic_engine.remove_image(NAME)
