"""localrun as a program of its own, as people have it: with its compiled modules."""

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
    """Compile localrun and what it needs, as its installation does.

    With `PYTHONDONTWRITEBYTECODE` set no run leaves a `.pyc` behind, and from a checkout each one would
    compile all of localrun anew: that is most of the time that a small command takes, and is not
    localrun's.
    """
    installed = (str(found.locate_file("")) for found in distributions())
    folders = {str(Path(localrun.__file__).parent), *installed}
    for folder in sorted(folders):
        compileall.compile_dir(folder, quiet=2)


def environment(folder: Path) -> dict[str, str]:
    """For programs that are measured: tasks, caches and reservations of their own."""
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
    """Run a program to its end; its failure is ours."""
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{ran.stderr}")
