"""Runs localrun as a program with compiled modules, as after an installation."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import localrun

LOCALRUN = str(Path(sys.executable).parent / "localrun")
PROJECT = Path(__file__).parent.parent
BUSYBOX = "localrun-base/busybox"


def compile_modules() -> None:
    """Compile localrun and its dependencies, as an installation does.

    With `PYTHONDONTWRITEBYTECODE`, every run from a checkout would compile all modules again, which takes
    most of the time of a small command.
    """
    installed = (str(found.locate_file("")) for found in distributions())
    folders = {str(Path(localrun.__file__).parent), *installed}
    for folder in sorted(folders):
        compileall.compile_dir(folder, quiet=2)


def environment(folder: Path) -> dict[str, str]:
    """Return environment variables for programs with their own tasks, caches and reservations."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("LOCALRUN_")
    }
    return {
        **kept,
        "LOCALRUN_HOME": str(folder / "home"),
        "LOCALRUN_CACHE": str(folder / "cache"),
        "LOCALRUN_LEDGER": str(folder / "ledger" / "machine.json"),
    }


def quietly(*command: str, env: dict[str, str] | None = None) -> None:
    """Run a program, and exit if it fails."""
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{ran.stderr}")
