"""The project's own bundle: its location, and its image, built or loaded once per session."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localrun.bundle.images.build_options import FolderBuild
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.reader import Bundle, read_bundle
from localrun.descriptor import Descriptor
from localrun.engines.base import Engine
from localrun.errors import LocalrunError
from localrun.manager.defaults import build_with_defaults
from localrun.settings import Settings


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


def read(path: Path, settings: Settings, build: Mapping[str, Any]) -> tuple[Bundle, FolderBuild]:
    """Read the bundle; `build` are the options of `submit` for a build, completed by the settings.

    Raises as `read_bundle` and `build_with_defaults`.
    """
    chosen, image = build_with_defaults(build, None, settings)
    return read_bundle(path, image=image, cache=settings.cache, build=chosen), chosen


class PreparedBundles:
    """The bundles of a session, each of which is read and built or loaded once, also if that fails."""

    def __init__(self) -> None:
        self._found: dict[tuple[Path, str], ProjectBundle | LocalrunError] = {}

    def get(
        self,
        path: Path,
        engine: Engine,
        settings: Settings,
        build: Mapping[str, Any],
        on_lock: Callable[[float], None],
    ) -> ProjectBundle:
        """Return a bundle with its image. `on_lock` receives the seconds of a wait for another process.

        Raises as `read` and `ensure_image`.
        """
        key = (path, repr(build))
        if key not in self._found:
            try:
                self._found[key] = _make(path, engine, settings, build, on_lock)
            except LocalrunError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, LocalrunError):
            raise found.with_traceback(None)
        return found


def _make(
    path: Path, engine: Engine, settings: Settings, build: Mapping[str, Any], on_lock: Callable[[float], None]
) -> ProjectBundle:
    found, chosen = read(path, settings, build)
    image = ensure_image(
        found.image, engine, cache=settings.cache, platform=chosen.platform, warn=_warn, on_lock=on_lock
    )
    return ProjectBundle(path, found.descriptor, image.id)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=1)
