"""The project's own bundle: where it is, and its image, made once a session."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.reader import Bundle, read_bundle
from localrun.descriptor import Descriptor
from localrun.engines.base import Engine

_DESCRIPTORS = ("descriptor.yml", "descriptor.yaml")


@dataclass(frozen=True)
class ProjectBundle(os.PathLike[str]):
    """The bundle under test. It can be given wherever a path of a bundle can.

    `image` is the engine's id of its image; empty where there is no engine that it was made for.
    """

    path: Path
    descriptor: Descriptor
    image: str = ""

    def __fspath__(self) -> str:
        return str(self.path)


def find(places: Iterable[Path]) -> Path:
    """The first folder with a descriptor, at one of the places or above it. Fails the test without one."""
    tried = list(places)
    for place in tried:
        for folder in (place, *place.parents):
            if any((folder / name).is_file() for name in _DESCRIPTORS):
                return folder
    pytest.fail(
        f"there is no descriptor.yml in {' or '.join(map(str, tried))}, nor above: name the bundle with"
        " the ini option localrun_bundle, --localrun-bundle, or a fixture localrun_bundle_path of yours",
        pytrace=False,
    )


def read(path: Path, cache: Path, build_args: Mapping[str, str]) -> Bundle:
    """Read it; all that is wrong is told."""
    return read_bundle(path, cache=cache, build_args=build_args)


def make(path: Path, engine: Engine, cache: Path, build_args: Mapping[str, str]) -> ProjectBundle:
    """Read it, and build or load its image; processes that share the cache do that once."""
    found = read(path, cache, build_args)
    image = ensure_image(found.image, engine, cache=cache)
    return ProjectBundle(path, found.descriptor, image.id)
