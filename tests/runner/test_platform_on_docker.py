"""Images for another platform on a real engine. Their programs are native, as if the engine emulated them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.task.record import TaskRecord
from tests.support.environment import DESCRIPTOR, make_environment
from tests.support.images import busybox_layer, image_archive

pytestmark = pytest.mark.docker
ARM = "linux/arm64"
PROGRAM = b"#!/bin/sh\necho $(($(cat /inputs/a) + $(cat /inputs/b))) > /outputs/sum\n"


@pytest.fixture
def bundle(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[Path]:
    """A bundle whose image archive is for ARM."""
    folder, mark = tmp_path / "sum", {"localrun-test.platform": secrets.token_hex(6)}
    folder.mkdir()
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    archive = image_archive(
        busybox_layer({"sum": PROGRAM}),
        architecture="arm64",
        Entrypoint=["/sum"],
        Env=["PATH=/bin"],
        Labels=mark,
    )
    (folder / "com.lab.sum-1.0.0.tar").write_bytes(archive)
    yield folder
    for image in docker_engine.images(mark):
        docker_engine.remove_image(image.id)


def test_an_image_for_another_platform_is_loaded_once_and_runs_on_request(
    docker_engine: DockerEngine, bundle: Path, tmp_path: Path
) -> None:
    def run(cache: str, platform: str) -> TaskRecord:
        folder = tmp_path / cache
        folder.mkdir(exist_ok=True)
        with make_environment(folder, engine=docker_engine) as env:
            options = {"bundle": bundle, "image": None, "pull": "missing", "platform": platform}
            return env.run(assignments=("a=3", "b=4"), **options)

    refused = run("one", "")
    assert (refused.cause, f"--platform {ARM}" in refused.remedy) == ("IMAGE_PLATFORM", True)
    first, second = run("one", ARM), run("two", ARM)
    assert [record.image_from for record in (first, second)] == ["loaded", "present"]
    for record in (first, second):
        assert (record.outputs, record.platform) == ({"sum": 7}, ARM)
        assert any("is emulated on this engine" in warning for warning in record.warnings)
    assert docker_engine.find_image(first.image, ARM) is not None
    assert docker_engine.find_image(first.image, "linux/s390x") is None
