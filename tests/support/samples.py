"""The base image of the samples, and removal of images that samples create."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localrun import descriptor, values
from localrun.values.compare.expected.outputs import Difference, compare
from tests.conftest import skip_or_fail
from tests.support.session import remove_at_end

BASE_IMAGE = os.environ.get("BASE_IMAGE", "localrun-base/python")


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the docker command."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


@contextmanager
def remove_new_images(home: Path) -> Iterator[set[str]]:
    """Remove the images that the tasks in `home` created, at the end of the session.

    Yields a set for the ids of further images, such as those of tasks that are deleted.
    """
    if docker("image", "inspect", BASE_IMAGE).returncode:
        skip_or_fail(f"image {BASE_IMAGE} not found; run `make base`")
    used: set[str] = set()
    try:
        yield used
    finally:
        used |= images_of(home)
        remove_at_end(*(name for name, image in _names().items() if image in used))


def images_of(home: Path) -> set[str]:
    """Return the ids of the images of all tasks in `home`."""
    return {json.loads(file.read_text())["image"] for file in home.glob("tasks/*/task.json")}


def _names() -> dict[str, str]:
    form = "{{.Repository}}:{{.Tag}} {{.ID}}"
    lines = docker("image", "ls", "--no-trunc", "--format", form).stdout.splitlines()
    pairs = [line.removeprefix("localhost/").split() for line in lines]  # Podman's prefix
    return {pair[0]: pair[1] for pair in pairs if pair[0].startswith("localrun/")}


def unexpected_outputs(sample: Path, outputs: Mapping[str, Any]) -> list[Difference]:
    """Return the differences between outputs and the `expected.json` of a sample."""
    described = descriptor.read((sample / "descriptor.yml").read_bytes())
    types = {name: one.type for name, one in described.outputs.items()}
    return compare(values.load_values(sample / "expected.json"), outputs, types)
