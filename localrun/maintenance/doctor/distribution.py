"""Other distributions named `localrun`; the one on PyPI is an unrelated web server with the same command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path

from localrun.maintenance.doctor.check import Check, ok, warn

_OTHER = "localrun"
_OWN = "localrun-tasks"
_OWN_FILE = "localrun/app.py"  # a file that only this project has
_PACKAGE = Path(__file__).parents[2]


def check_distributions(path: Sequence[str] | None = None) -> Iterator[Check]:
    """Warn about each distribution named `localrun` on `path` (default: `sys.path`)."""
    found = list(distributions(name=_OTHER, path=list(sys.path if path is None else path)))
    if not found:
        yield ok("distribution", f"no other distribution provides the command {_OTHER}")
    for each in found:
        yield _check(each)


def _check(other: Distribution) -> Check:
    files = other.files or []
    remedy = f"`pip uninstall {_OTHER}`, then install {_OWN} again"
    if _is_own(files):
        message = f"{_OTHER} {other.version} is an old installation of this project, now named {_OWN}"
        return warn("distribution", message, remedy, version=other.version, own=True)
    installed = {os.path.realpath(file.locate()) for file in files}
    own = (Path(sys.argv[0]), _PACKAGE / "__init__.py", _PACKAGE / "__main__.py")
    shared = [file for file in dict.fromkeys(str(path.resolve()) for path in own) if file in installed]
    effect = f"also installs {', '.join(shared)}" if shared else f"may hide the command {_OTHER}"
    message = f"{_OTHER} {other.version}, an unrelated project, {effect}"
    return warn("distribution", message, remedy, version=other.version, own=False, files=shared)


def _is_own(files: Sequence[PackagePath]) -> bool:
    """Return whether these are files of this project, or of an editable installation of it."""
    if any(str(file) == _OWN_FILE for file in files):
        return True
    links = [Path(file.locate()) for file in files if file.suffix == ".pth"]
    folders = [line for link in links if link.is_file() for line in link.read_text().splitlines()]
    return any(Path(folder, _OWN_FILE).exists() for folder in folders)
