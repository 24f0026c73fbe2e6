"""Dockerfiles as they are sent: with the images that `--build-context` names instead of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.engines.base import BuildRequest
from localrun.engines.dockerd.builders.dockerfiles import PreparedDockerfile, familiar, prepare
from localrun.errors import Cause, ImageError


def prepared(folder: Path, text: str, **contexts: str) -> PreparedDockerfile:
    (folder / "Dockerfile").write_text(text)
    named = {name: f"docker-image://{source}" for name, source in contexts.items()}
    return prepare(BuildRequest(folder, "x:1", contexts=named))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("FROM base", "FROM mine:2"),
        ("from  base:latest AS x", "from  mine:2 AS x"),
        ("FROM docker.io/library/base", "FROM mine:2"),
        ("FROM --platform=linux/amd64 base", "FROM --platform=linux/amd64 mine:2"),
        ("FROM $IMAGE", "FROM mine:2"),
        ("FROM ${IMAGE:-other}", "FROM mine:2"),
        ("FROM x\nCOPY --from=base /base /", "FROM x\nCOPY --from=mine:2 /base /"),
        ("FROM x\nRUN --mount=from=base,target=/m base", "FROM x\nRUN --mount=from=mine:2,target=/m base"),
        ("FROM \\\n  base AS x", "FROM \\\n  mine:2 AS x"),
    ],
)
def test_an_image_is_replaced_where_it_is_named(tmp_path: Path, line: str, expected: str) -> None:
    found = prepared(tmp_path, f"ARG IMAGE=base\n{line}\nRUN base\n", base="mine:2")
    assert found.text == f"ARG IMAGE=base\n{expected}\nRUN base\n"
    assert found.replacement == found.text.encode()
    assert found.unused == ()


@pytest.mark.parametrize("line", ["FROM base:1", "FROM lab/base", "FROM base-slim", "FROM host:5000/base"])
def test_other_images_stay(tmp_path: Path, line: str) -> None:
    found = prepared(tmp_path, f"{line}\n", base="mine:2")
    assert (found.text, found.replacement, found.unused) == (f"{line}\n", None, ("base",))


def test_the_images_of_a_target_are_listed(tmp_path: Path) -> None:
    text = "FROM a:1 AS one\nCOPY --from=lab/uv:2 /uv /\nFROM scratch AS two\nCOPY --from=one / /\nFROM b\n"
    found = prepared(tmp_path, text)
    assert found.images("two") == ["a:1", "lab/uv:2"]
    assert found.images() == ["b"]


def test_a_line_is_left_out_without_moving_the_others(tmp_path: Path) -> None:
    assert prepared(tmp_path, "# syntax=x\nFROM a\n").without_line(1).text == "#\nFROM a\n"


def test_bytes_that_are_not_utf_8_are_kept(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"FROM base\nRUN echo \xff\n")
    found = prepare(BuildRequest(tmp_path, "x:1", contexts={"base": "docker-image://mine"}))
    assert found.replacement == b"FROM mine\nRUN echo \xff\n"


def test_a_missing_dockerfile_is_a_failed_build(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="Dockerfile does not exist") as raised:
        prepare(BuildRequest(tmp_path, "x:1"))
    assert raised.value.cause is Cause.IMAGE_BUILD_FAILED


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("python", "python:latest"),
        ("docker.io/library/python:3", "python:3"),
        ("index.docker.io/lab/x", "lab/x:latest"),
        ("registry:5000/x", "registry:5000/x:latest"),
        ("x@sha256:1", "x@sha256:1"),
    ],
)
def test_names_are_compared_as_docker_shows_them(name: str, expected: str) -> None:
    assert familiar(name) == expected
