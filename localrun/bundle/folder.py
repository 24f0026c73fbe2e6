"""A folder as a bundle: the content of a bundle zip, or a descriptor next to a Dockerfile."""

from __future__ import annotations

import stat
from pathlib import Path

from localrun.bundle.images.dockerfile_choice import DOCKERFILES
from localrun.errors import BundleError, Problem

DESCRIPTOR_LIMIT = 1 << 20  # bytes


def list_files(folder: Path) -> list[str]:
    """Return the files at the root of a folder.

    Raises `BundleError` for links that leave the folder and for special files.
    """
    found, problems = [], []
    for path in sorted(folder.iterdir()):
        leaves = path.is_symlink() and not _stays_inside(folder, path)
        if path.is_file() and not leaves:
            found.append(path.name)
        elif _is_bundle_part(path) and leaves:
            problems.append(
                Problem(path.name, "a link that leaves the folder", "replace it with the file itself")
            )
        elif _is_bundle_part(path) and not path.is_dir():
            problems.append(
                Problem(path.name, "neither a file nor a folder", "replace it with a regular file")
            )
    if problems:
        message = f"{folder} cannot be used as a bundle"
        raise BundleError(message, remedy="fix the problems listed", problems=problems)
    return found


def read_descriptor(path: Path) -> bytes:
    """Read a descriptor. Raises `BundleError` if it is not a regular file or is too large."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise BundleError(f"{path} is not a regular file", remedy="pass the descriptor itself")
    with path.open("rb") as file:
        data = file.read(DESCRIPTOR_LIMIT + 1)
    if len(data) > DESCRIPTOR_LIMIT:
        message = f"the descriptor {path} is larger than {DESCRIPTOR_LIMIT} bytes"
        raise BundleError(message, remedy="check that this is the right file")
    return data


def _stays_inside(folder: Path, path: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of links
        return False


def _is_bundle_part(path: Path) -> bool:
    return path.name in DOCKERFILES or path.suffix.lower() in (".yml", ".yaml", ".tar", ".tgz", ".gz")
