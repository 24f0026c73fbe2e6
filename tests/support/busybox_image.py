"""Images with a shell, each with a name of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from localrun.engines.dockerd import DockerEngine
from tests.support.images import busybox_layer, image_archive


@contextmanager
def busybox_image(engine: DockerEngine, *command: str) -> Iterator[str]:
    """Load an image that runs `command`, yield its name, and remove it afterwards."""
    name = f"localrun-test/busybox:{secrets.token_hex(8)}"
    engine.load_image([image_archive(busybox_layer({}), name, Cmd=[*command], Env=["PATH=/bin"])])
    try:
        yield name
    finally:
        engine.remove_image(name)
