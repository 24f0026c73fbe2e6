"""Run a command on an engine: `python -m tests.support.machines KIND COMMAND...` (as root)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.machines.kinds import KINDS
from tests.support.machines.view import UNSHARE

ROOT = Path(__file__).parents[3]
PACKAGES = ROOT / "build" / "engines"
BASE_IMAGES = ("localrun-base/python:latest", "localrun-base/busybox:latest")


def unpack(name: str) -> list[Path]:
    """Unpack the packages of an engine, once."""
    kind = KINDS[name]
    if not kind.packages:
        return []
    digest = hashlib.sha256(" ".join(kind.packages).encode()).hexdigest()[:8]
    folder = PACKAGES / f"{kind.packages[0]}-{'own' if kind.own else 'newest'}-{digest}"
    if not folder.exists():
        part = Path(f"{folder}.part")
        shutil.rmtree(part, ignore_errors=True)
        script = [str(ROOT / ".ci" / "unpack"), *(("--own",) if kind.own else ()), str(part), *kind.packages]
        subprocess.run(script, check=True)
        part.rename(folder)
    return [folder]


@contextmanager
def folder_with_images() -> Iterator[Path]:
    """A folder of a view, with an archive of the base images of the machine's engine. Its log is kept."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="lre-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        subprocess.run(["docker", "save", "-o", str(folder / "base.tar"), *BASE_IMAGES], check=True)
        (folder / "base.tar").chmod(0o644)
        yield folder
    finally:
        if (folder / "engine.log").exists():
            shutil.copy(folder / "engine.log", PACKAGES / "engine.log")
        shutil.rmtree(folder)


def run(name: str, *command: str) -> int:
    """Run a command with DOCKER_HOST set to an engine of its own; return its exit code."""
    packages = ":".join(str(path) for path in unpack(name))
    with folder_with_images() as folder:
        inside = [
            sys.executable,
            "-m",
            "tests.support.machines.inside",
            name,
            str(folder),
            packages,
            *command,
        ]
        return subprocess.run([*UNSHARE, *inside], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(run(*sys.argv[1:]))
