"""The project's own bundle: its location, and its image, built or loaded once per session."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localrun.bundle.images.build_options import FolderBuild
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.reader import Bundle, read_bundle
from localrun.descriptor import Descriptor
from localrun.engines.base import Engine
from localrun.manager.defaults import build_with_defaults
from localrun.settings import Settings

_DESCRIPTORS = ("descriptor.yml", "descriptor.yaml")


@dataclass(frozen=True)
class ProjectBundle(os.PathLike[str]):
    """The bundle under test. Accepted wherever the path of a bundle is.

    `image` is the engine's id of its image; empty if it was not prepared for an engine.
    """

    path: Path
    descriptor: Descriptor
    image: str = ""

    def __fspath__(self) -> str:
        return str(self.path)


def find(places: Iterable[Path]) -> Path:
    """Return the first folder with a descriptor in or above `places`. Fails the test if there is none."""
    tried = list(places)
    for place in tried:
        for folder in (place, *place.parents):
            if any((folder / name).is_file() for name in _DESCRIPTORS):
                return folder
    pytest.fail(
        f"no descriptor.yml found in or above {' or '.join(map(str, tried))}; set the ini option"
        " localrun_bundle or --localrun-bundle, or define the fixture localrun_bundle_path",
        pytrace=False,
    )


def read(path: Path, settings: Settings, build: Mapping[str, Any]) -> tuple[Bundle, FolderBuild]:
    """Read the bundle; `build` are the options of `submit` for a build, completed by the settings.

    Raises as `read_bundle` and `build_with_defaults`.
    """
    chosen, image = build_with_defaults(build, None, settings)
    return read_bundle(path, image=image, cache=settings.cache, build=chosen), chosen


def make(path: Path, engine: Engine, settings: Settings, build: Mapping[str, Any]) -> ProjectBundle:
    """Read the bundle and build or load its image, once for all processes that share the cache."""
    found, chosen = read(path, settings, build)
    image = ensure_image(found.image, engine, cache=settings.cache, platform=chosen.platform, warn=_warn)
    return ProjectBundle(path, found.descriptor, image.id)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=1)
