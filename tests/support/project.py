"""A copy of the project, in which `make` finds everything ready."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.support.session import inherited_environment

COPIED = ("Makefile", "pyproject.toml", "README.md", ".ci", "samples")


def project(folder: Path) -> dict[str, str]:
    """A copy of the project that `make` finds ready; the environment to use it in."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "wheels"))
        else:
            shutil.copy2(source, folder / name)
    (folder / "localrun").symlink_to(ROOT / "localrun")  # with the compiled code of its modules
    programs = Path(sys.executable).parent
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(programs)
    (folder / ".venv" / "made").touch()
    kept = {name: value for name, value in inherited_environment().items() if not name.startswith("MAKE")}
    return {**kept, "PATH": f"{programs}:{kept['PATH']}", "LOCALRUN_CACHE": str(folder / "cache")}
