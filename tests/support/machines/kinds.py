"""The engines that tests run on: how each is started, and from which packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support.machines.start import start_docker, start_podman
from tests.support.machines.users import User


@dataclass(frozen=True)
class Kind:
    """An engine under test.

    `packages` of Debian are unpacked, `own` ones from the machine's release, others from the newest suite.
    `rootless` engines and their tests run as an ordinary user.
    """

    title: str
    start: Callable[[Path, User], str]
    packages: tuple[str, ...] = ()
    own: bool = False
    rootless: bool = False


# Packages of the newest suite need libraries of it; its C library stays out.
DOCKER = ("docker.io", "docker-cli", "containerd")
PODMAN = ("podman", "netavark", "aardvark-dns", "conmon", "golang-github-containers-common")
ROOTLESS = ("uidmap", "slirp4netns", "fuse-overlayfs")

KINDS: dict[str, Kind] = {
    "docker": Kind("Docker of this machine", start_docker),
    "docker-newest": Kind("newest Docker of Debian", start_docker, DOCKER),
    "docker-containerd": Kind(
        "newest Docker of Debian, containerd image store",
        partial(start_docker, containerd_store=True),
        DOCKER,
    ),
    "podman": Kind("Podman of this machine's Debian", start_podman, PODMAN, own=True),
    "podman-newest": Kind("newest Podman of Debian", start_podman, (*PODMAN, "libsubid6")),
    "podman-rootless": Kind(
        "Podman of an ordinary user", start_podman, (*PODMAN, *ROOTLESS), own=True, rootless=True
    ),
}
