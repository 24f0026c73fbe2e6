"""Installed packages, linked into another folder: without a network, and almost without time."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def link_packages(folder: Path, requirements: Iterable[str]) -> None:
    """Put the packages and what they need into `folder`, as hard links where possible."""
    for found in _closure(requirements).values():
        for file in found.files or ():
            if ".." not in file.parts:
                _link(Path(str(file.locate())), folder / file)


def link_localrun(folder: Path) -> None:
    """Put localrun, pytest and what both need into `folder`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    link_packages(folder, [*project["dependencies"], "pytest"])
    for path in (ROOT / "localrun").rglob("*"):
        if path.is_file():
            _link(path, folder / path.relative_to(ROOT))


def _closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """Return the installed distributions that the requirements need, directly or not."""
    found: dict[str, Distribution] = {}
    queue = [Requirement(text) for text in requirements]
    while queue:
        wanted = queue.pop()
        name = canonicalize_name(wanted.name)
        if name in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        queue += [Requirement(text) for text in found[name].requires or ()]
    return found


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except (FileExistsError, FileNotFoundError):  # listed twice, or removed since, such as compiled code
        return
    except OSError:  # another file system
        shutil.copy2(source, target)
