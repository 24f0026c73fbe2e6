"""The Dockerfiles of the page about packages install wheels without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.source import ImageFolder
from localrun.engines.dockerd import DockerEngine
from tests.conftest import ROOT, skip_or_fail
from tests.support.samples import docker
from tests.support.wheels import write_wheel

BASE = "localrun-base/python"
PAGE = (ROOT / "docs/packages.md").read_text()
COPIED, MOUNTED = (
    text
    for text in re.findall(r"^```dockerfile\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    if "FROM" in text
)


def print_one(engine: DockerEngine, folder: Path, dockerfile: str) -> str:
    """Build a Dockerfile with the wheel of a package, and return what a program that imports it prints."""
    if engine.find_image(BASE) is None:
        skip_or_fail(f"there is no image {BASE} (make base)")
    (folder / "program").mkdir()
    (folder / "program/main.py").write_text("import one\n")
    (folder / "requirements.txt").write_text("one\n")
    (folder / "Dockerfile").write_text(dockerfile)
    write_wheel(folder / "wheels", "one", "print('one is there')")
    source = ImageFolder(folder, "Dockerfile", {"BASE_IMAGE": BASE})
    image = ensure_image(source, engine, cache=folder.parent / "cache")
    printed = docker("run", "--rm", "--network=none", image.id).stdout
    engine.remove_image(image.id)
    return printed


@pytest.mark.docker
def test_copied_wheels_are_installed(docker_engine: DockerEngine, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    assert print_one(docker_engine, folder, COPIED) == "one is there\n"


@pytest.mark.docker
def test_mounted_wheels_are_installed_and_not_in_the_image(
    buildkit_engine: DockerEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    assert "COPY requirements" not in MOUNTED
    assert print_one(buildkit_engine, folder, MOUNTED) == "one is there\n"
