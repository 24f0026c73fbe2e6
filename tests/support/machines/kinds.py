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


DOCKER = ("docker.io", "docker-cli", "containerd")
PODMAN = (
    *("podman", "conmon", "catatonit", "netavark", "aardvark-dns"),
    *("golang-github-containers-common", "golang-github-containers-image"),
)
# What the newest Podman needs, of its suite. In a view, all other programs use its C library, too.
LIBRARIES = (
    *("libc6", "libsubid6", "libgpgme45", "libassuan9", "libgpg-error0", "libglib2.0-0t64", "libpcre2-8-0"),
    *("nftables", "libnftables1", "libnftnl11", "libmnl0"),
)
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
    "podman-newest": Kind("newest Podman of Debian", start_podman, (*PODMAN, *LIBRARIES)),
    "podman-rootless": Kind(
        "Podman of an ordinary user", start_podman, (*PODMAN, *ROOTLESS), own=True, rootless=True
    ),
    "docker-rootless": Kind(
        "Docker of an ordinary user", start_docker, ("rootlesskit", *ROOTLESS), own=True, rootless=True
    ),
}
