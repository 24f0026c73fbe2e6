"""A folder as a bundle: the same content as a zip, or a descriptor beside a Dockerfile."""

from __future__ import annotations

import stat
from pathlib import Path

from localrun.errors import BundleError, Problem

DESCRIPTOR_LIMIT = 1 << 20  # bytes
DOCKERFILE = "Dockerfile"


def list_files(folder: Path) -> list[str]:
    """The files at the root of a folder. Raises `BundleError` for links that leave it, and for devices."""
    found, problems = [], []
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and not _stays(folder, path):
            if _matters(path):
                problems.append(
                    Problem(path.name, "a link that leaves the folder", "put the file itself there")
                )
        elif path.is_file():
            found.append(path.name)
        elif _matters(path) and not path.is_dir():
            problems.append(Problem(path.name, "neither a file nor a folder", "put a file there"))
    if problems:
        raise BundleError(
            f"{folder} cannot be used as a bundle", remedy="correct what is listed", problems=problems
        )
    return found


def read_descriptor(path: Path) -> bytes:
    """Read a descriptor. Raises `BundleError` when it is no small regular file."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise BundleError(f"{path} is not a regular file", remedy="give the file itself")
    with path.open("rb") as file:
        data = file.read(DESCRIPTOR_LIMIT + 1)
    if len(data) > DESCRIPTOR_LIMIT:
        raise BundleError(
            f"{path} is larger than {DESCRIPTOR_LIMIT} bytes",
            remedy="a descriptor is a short text: see what this is",
        )
    return data


def _stays(folder: Path, path: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a circle of links
        return False


def _matters(path: Path) -> bool:
    return path.name == DOCKERFILE or path.suffix.lower() in (".yml", ".yaml", ".tar", ".tgz", ".gz")
