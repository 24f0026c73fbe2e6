"""Building a folder: once per content; images of earlier contents are removed."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from localrun.bundle.images.build import build_labels
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.source import ImageFolder
from localrun.engines.base import (
    BuildRequest,
    ContainerSpec,
    EngineImage,
    Progress,
    Warn,
    no_progress,
    no_warning,
)
from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import BUILD_REPOSITORY
from localrun.errors import Cause, ImageError

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


def built_from(folder: Path, engine: DockerEngine) -> list[EngineImage]:
    return engine.images(build_labels(folder.resolve()))


def ensure(engine: DockerEngine, folder: Path, **build_args: str) -> tuple[EngineImage, list[str]]:
    said: list[str] = []
    made = ensure_image(
        ImageFolder(folder, build_args=build_args),
        engine,
        cache=folder.parent / "cache",
        progress=lambda what, _done, _total: said.append(what),
    )
    return made, said


def test_a_folder_is_built_once_for_its_content(docker_engine: DockerEngine, folder: Path) -> None:
    first, said = ensure(docker_engine, folder)
    assert any("COPY program" in line for line in said)
    assert first.tags[0].startswith(f"{BUILD_REPOSITORY}:")
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


def test_targets_of_one_folder_have_images_of_their_own(
    docker_engine: DockerEngine, folder: Path, busybox: str, tmp_path: Path
) -> None:
    # Given a Dockerfile with two stages outside of the context
    outside = tmp_path / "stages.Dockerfile"
    outside.write_text(f"FROM {busybox} AS one\nCOPY program /one\nFROM one AS two\nCOPY program /two\n")
    cache = tmp_path / "cache"

    def made(target: str) -> EngineImage:
        source = ImageFolder(folder, dockerfile=str(outside), target=target)
        return ensure_image(source, docker_engine, cache=cache)

    # When both are built, then neither replaces the other
    try:
        one, two = made("one"), made("two")
        assert one.id != two.id
        assert (made("one").id, made("two").id) == (one.id, two.id)
    finally:
        for target in ("one", "two"):
            for image in docker_engine.images(build_labels(folder.resolve(), str(outside), target)):
                for tag in image.tags:
                    docker_engine.remove_image(tag)


def test_images_that_share_steps_leave_no_image_without_a_name(
    classic_engine: DockerEngine, folder: Path, busybox: str
) -> None:
    label, value = "localrun-test.steps", secrets.token_hex(4)
    (folder / "Dockerfile").write_text(
        f"FROM {busybox} AS one\nLABEL {label}={value}\nCOPY program /one\nFROM one\nRUN true\n"
    )
    names = [f"localrun-test/steps:{secrets.token_hex(4)}" for _ in range(2)]
    for name, target in zip(names, ("one", ""), strict=True):
        classic_engine.build_image(BuildRequest(folder, name, labels={label: value}, target=target))
    assert {tag for image in classic_engine.images({label: value}) for tag in image.tags} == set(names)
    for name in names:
        classic_engine.remove_image(name)
    assert classic_engine.images({label: value}) == []


def test_a_failed_build_leaves_nothing(docker_engine: DockerEngine, folder: Path) -> None:
    (folder / "Dockerfile").write_text((folder / "Dockerfile").read_text() + "RUN false\n")
    with pytest.raises(ImageError) as caught:
        ensure(docker_engine, folder)
    assert caught.value.cause is Cause.IMAGE_BUILD_FAILED
    assert built_from(folder, docker_engine) == []


def test_neither_git_nor_the_tasks_are_sent_to_the_engine(
    docker_engine: DockerEngine, folder: Path, busybox: str
) -> None:
    for path in (".git/HEAD", ".localrun/tasks/x", "sub/.git", "seen"):
        (folder / path).parent.mkdir(exist_ok=True, parents=True)
        (folder / path).write_text("x")
    command = "test -e /all/seen && ! ls -aR /all | grep -E 'git|localrun'"
    (folder / "Dockerfile").write_text(f"FROM {busybox}\nCOPY . /all\nRUN {command}\n")
    ensure(docker_engine, folder)


class Meeting(DockerEngine):
    """An engine with two builds at once of which one ends first, with a container of its image."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.barrier = threading.Barrier(2)
        self.published = threading.Event()
        self.containers: list[str] = []

    def build_image(
        self, request: BuildRequest, progress: Progress = no_progress, warn: Warn = no_warning
    ) -> EngineImage:
        if self.barrier.wait(timeout=120) > 0:
            self.published.wait(timeout=120)
        labels = {**request.labels, "localrun-test.build": secrets.token_hex(4)}
        return super().build_image(replace(request, labels=labels), progress, warn)

    def tag_image(self, image: str, name: str) -> None:
        super().tag_image(image, name)
        spec = ContainerSpec(image=image, name=f"localrun-test-{secrets.token_hex(4)}", command=("sh",))
        self.containers.append(self.create(spec))
        self.published.set()


def test_two_builds_of_the_same_at_once_make_one_image_and_leave_none_without_a_name(
    docker_engine: DockerEngine, folder: Path, busybox: str
) -> None:
    # Given a build with a different image each time, and two separate caches
    (folder / "Dockerfile").write_text(f"FROM {busybox}\n")
    engine = Meeting(docker_engine.address.url)
    made: list[EngineImage] = []

    def build(cache: Path) -> None:
        made.append(ensure_image(ImageFolder(folder), engine, cache=cache))

    # When both build at once, and the first runs a container before the second image exists
    threads = [threading.Thread(target=build, args=(folder.parent / name,)) for name in ("one", "two")]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        # Then both have the same image, and it is the only one
        assert len({image.id for image in made}) == 1
        assert len(made) == 2
        (left,) = built_from(folder, engine)
        assert (left.id, len(left.tags)) == (made[0].id, 1)
    finally:
        for handle in engine.containers:
            engine.remove(handle)
        engine.close()
