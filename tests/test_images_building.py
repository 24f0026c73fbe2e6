"""Building a folder: once for each content, and no image of a former content stays."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun import images
from localrun.engines.base import Image
from localrun.engines.dockerd import DockerEngine
from localrun.errors import Cause, ImageError
from localrun.images import ImageFolder
from localrun.images.building import REPOSITORY, labels_of

pytestmark = pytest.mark.docker


@pytest.fixture
def folder(tmp_path: Path, docker_engine: DockerEngine, busybox: str) -> Iterator[Path]:
    made = tmp_path / "task"
    made.mkdir()
    (made / "Dockerfile").write_text(f"ARG BASE_IMAGE={busybox}\nFROM $BASE_IMAGE\nCOPY program /program\n")
    (made / "program").write_text(secrets.token_hex(8))
    yield made
    for folder in tmp_path.iterdir():
        for image in built_from(folder, docker_engine):
            for tag in image.tags:
                docker_engine.remove_image(tag)


def built_from(folder: Path, engine: DockerEngine) -> list[Image]:
    return engine.images(labels_of(folder.resolve()))


def ensure(engine: DockerEngine, folder: Path, **build_args: str) -> tuple[Image, list[str]]:
    said: list[str] = []
    made = images.ensure(
        ImageFolder(folder, build_args=build_args),
        engine,
        cache=folder.parent / "cache",
        progress=lambda what, _done, _total: said.append(what),
    )
    return made, said


def test_a_folder_is_built_once_for_its_content(docker_engine: DockerEngine, folder: Path) -> None:
    first, said = ensure(docker_engine, folder)
    assert any("COPY program" in line for line in said)
    assert first.tags[0].startswith(f"{REPOSITORY}:")
    assert ensure(docker_engine, folder) == (first, [])


def test_a_changed_folder_is_built_again_and_the_former_image_goes(
    docker_engine: DockerEngine, folder: Path
) -> None:
    first, _ = ensure(docker_engine, folder)
    (folder / "program").write_text("changed")
    second, _ = ensure(docker_engine, folder)
    assert [image.id for image in built_from(folder, docker_engine)] == [second.id]
    assert docker_engine.find_image(first.id) is None


def test_a_former_image_that_the_user_named_stays_under_that_name(
    docker_engine: DockerEngine, folder: Path
) -> None:
    first, _ = ensure(docker_engine, folder)
    name = f"localrun-test/kept:{first.id[7:19]}"
    docker_engine.tag_image(first.id, name)
    (folder / "program").write_text("changed")
    ensure(docker_engine, folder)
    kept = docker_engine.find_image(name)
    assert kept is not None
    assert kept.tags == (name,)


def test_the_images_of_another_folder_stay(docker_engine: DockerEngine, folder: Path) -> None:
    other = folder.with_name("other")
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    (other / "program").write_text("of another task")
    first, _ = ensure(docker_engine, other)
    ensure(docker_engine, folder)
    (folder / "program").write_text("changed")
    ensure(docker_engine, folder)
    assert docker_engine.find_image(first.id) is not None


def test_the_base_image_can_be_overridden(docker_engine: DockerEngine, folder: Path, busybox: str) -> None:
    (folder / "Dockerfile").write_text(
        "ARG BASE_IMAGE=not/there:1\nFROM $BASE_IMAGE\nCOPY program /program\n"
    )
    made, _ = ensure(docker_engine, folder, BASE_IMAGE=busybox)
    assert made.tags


def test_a_failed_build_leaves_nothing(docker_engine: DockerEngine, folder: Path) -> None:
    (folder / "Dockerfile").write_text((folder / "Dockerfile").read_text() + "RUN false\n")
    with pytest.raises(ImageError) as caught:
        ensure(docker_engine, folder)
    assert caught.value.cause is Cause.IMAGE_BUILD_FAILED
    assert built_from(folder, docker_engine) == []
