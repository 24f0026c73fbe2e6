"""The installed packages that localrun needs, in a folder that another user can read."""

from __future__ import annotations

import os
import shutil
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def link_packages(folder: Path) -> None:
    """Put localrun, pytest and what both need into `folder`, as hard links where possible."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for found in _closure([*project["dependencies"], "pytest"]).values():
        for file in found.files or ():
            if ".." not in file.parts:
                _link(Path(str(file.locate())), folder / file)
    for path in (ROOT / "localrun").rglob("*"):
        if path.is_file():
            _link(path, folder / path.relative_to(ROOT))


def _closure(requirements: list[str]) -> dict[str, Distribution]:
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
