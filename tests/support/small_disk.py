"""A small file system that a test fills, and a program that fills it."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localrun.engines.base import ContainerSpec, Mount
from localrun.engines.dockerd import DockerEngine
from tests.conftest import skip_or_fail

# 128 MiB at most, should the file system not be small for the engine
FLOOD = (
    "i=0; while [ $i -lt 512 ]; do dd if=/dev/zero bs=256k count=1 >> /outputs/sum 2>/dev/null;"
    " i=$((i+1)); sleep 0.02; done"
)


@contextmanager
def small_disk(folder: Path, size: str, engine: DockerEngine, image: str) -> Iterator[Path]:
    """Mount a file system of this size at `folder`, and check that the engine sees it."""
    if os.geteuid() != 0:
        skip_or_fail("only root can mount a small file system")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
    try:
        if not _is_seen(folder, engine, image):
            skip_or_fail("the engine does not see file systems that are mounted here")
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _is_seen(folder: Path, engine: DockerEngine, image: str) -> bool:
    mark = folder / "mark"
    mark.touch()
    name = f"localrun-test-{secrets.token_hex(6)}"
    command = ("sh", "-c", "test -e /disk/mark")
    spec = ContainerSpec(image, name, entrypoint=(), command=command, mounts=(Mount(folder, "/disk"),))
    handle = engine.create(spec)
    try:
        engine.start(handle)
        return engine.wait(handle).code == 0
    finally:
        engine.remove(handle)
        mark.unlink()
