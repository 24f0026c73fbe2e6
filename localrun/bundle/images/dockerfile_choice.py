"""Which Dockerfile and context the image of a bundle folder is built from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from localrun.bundle.images.build_options import FolderBuild
from localrun.bundle.images.source import ImageFolder
from localrun.errors import BundleError

# the names that docker and Podman look for, in this order
DOCKERFILES = ("Dockerfile", "dockerfile", "Containerfile")
_NEAR = 3  # folders above a bundle in which a shared Dockerfile is looked for


def choose_build(
    folder: Path, names: Sequence[str], build: FolderBuild, *, archive: bool
) -> ImageFolder | None:
    """Return what to build for a folder with these files; None if it has no Dockerfile.

    An image archive is used instead of a build, unless a Dockerfile or a context is chosen. Raises
    `BundleError` if a chosen one does not exist.
    """
    chosen = bool(build.dockerfile or build.context)
    if archive and not chosen:
        return None
    context = Path(build.context) if build.context else folder
    if not context.is_dir():
        raise BundleError(f"the build context {context} is not a folder", remedy="correct --context")
    dockerfile = _find(folder, names, context, build)
    if dockerfile is None:
        return None
    return ImageFolder(
        context,
        _relative(dockerfile, context),
        dict(build.build_args),
        build.target,
        build.secrets,
        dict(build.contexts),
        build.lost_secrets,
        _mounted(context, build.mounted),
    )


def _mounted(context: Path, paths: Sequence[str]) -> tuple[str, ...]:
    """Return the paths inside of the context, relative to it."""
    real = context.resolve() if paths else context
    inside = (Path(path).resolve() for path in paths)
    return tuple(sorted(str(path.relative_to(real)) for path in inside if path.is_relative_to(real)))


def unused_names(names: Sequence[str]) -> list[str]:
    """Return the Dockerfiles of a folder that are not used because of another one."""
    return [name for name in DOCKERFILES if name in names][1:]


def _find(folder: Path, names: Sequence[str], context: Path, build: FolderBuild) -> Path | None:
    if build.dockerfile:
        path = Path(build.dockerfile)
        if not path.is_file():
            raise BundleError(f"no such Dockerfile: {path}", remedy=_file_remedy(folder, path))
        return path
    inside = [folder / name for name in DOCKERFILES if name in names]
    shared = [context / name for name in DOCKERFILES if build.context and (context / name).is_file()]
    if build.context and not (inside or shared):
        message = f"found no Dockerfile in {folder} or in the build context {context}"
        raise BundleError(message, remedy="add one, or select it with -f FILE")
    return next(iter([*inside, *shared]), None)


def _file_remedy(folder: Path, path: Path) -> str:
    """Return how to name a Dockerfile, e.g. one that was given relative to the bundle."""
    if path.name == "-":
        return "write the Dockerfile to a file: it cannot be read from standard input"
    inside = folder / os.path.relpath(path)
    if inside.is_file():
        return f"-f is relative to the current directory: `-f {inside}`"
    return "correct -f/--file"


def how_to_build(folder: Path) -> str:
    """Return what a bundle needs so that its image is built."""
    for parent in folder.resolve().parents[:_NEAR]:
        for name in DOCKERFILES:
            if (parent / name).is_file():
                return f"build it with {parent / name}: `--context {parent}`"
    return "add a Dockerfile"


def _relative(dockerfile: Path, context: Path) -> str:
    """Return the path in the context, or the absolute path of a Dockerfile outside of it."""
    if dockerfile.parent == context:
        return dockerfile.name
    path, root = os.path.abspath(dockerfile), os.path.abspath(context)  # noqa: PTH100 - keeps links
    inside = path.startswith(f"{root}/")
    return os.path.relpath(path, root) if inside else path
