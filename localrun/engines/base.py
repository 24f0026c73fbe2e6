"""The engine seam: a dozen verbs, and the data that passes through them.

The contract, which `tests/engines/test_contract.py` runs over every engine:

1. A handle is a string that can be written to disk; any process can go on with it.
2. `stop` and `remove` are idempotent: a container that is already stopped or gone is no error.
3. `wait` blocks without polling and gives the same `Exit` however often, and from wherever, it is called.
4. `create` raises `MountUnavailable` when the engine does not see a path that is to be mounted, and
   leaves nothing behind.
5. Every error is a `LocalrunError`: `EngineUnreachable` when nothing answers, `ContainerGone` when the
   handle is unknown, `ImageError` when it is the image, `EngineError` for the rest.
6. What differs between engines is data in `EngineInfo`, never the name of the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec

Handle = str
StreamName = Literal["stdout", "stderr"]

# (what, bytes done, bytes in total or None): called as a long operation moves on; may raise to end it
Progress = Callable[[str, int, int | None], None]

# in a folder that is built: of no use to a program, and different at every run; left out wherever they are,
# unless `.dockerignore` asks for them
DEFAULT_IGNORES = ("**/.git", "**/.localrun")


def no_progress(what: str, done: int, total: int | None) -> None:
    """A listener for callers that do not care."""


class EngineInfo(msgspec.Struct, frozen=True):
    """What an engine is and has. `memory` in bytes; `root` is its data folder (on its own host).

    `unheld` names the limits that its kernel does not hold tasks to: `memory`, `swap`, `pids`, `cpu`.
    `clock` is how far its clock was ahead of ours when it was asked, in seconds.
    """

    name: str
    version: str
    os: str
    architecture: str  # in the words of OCI images: amd64, arm64, ...
    cpus: int
    memory: int
    root: str
    gpus: bool = False
    rootless: bool = False
    address: str = ""
    api: str = ""
    storage: str = ""
    cgroups: str = ""  # the version of the kernel's interface for limits
    unenforced: tuple[str, ...] = ()
    clock_offset: float = 0.0


class EngineImage(msgspec.Struct, frozen=True):
    """An image that the engine has. `size` in bytes."""

    id: str
    os: str
    architecture: str
    size: int
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    tags: tuple[str, ...] = ()
    workdir: str = ""
    environment: tuple[str, ...] = ()  # NAME=VALUE


class Mount(msgspec.Struct, frozen=True):
    """A host path at a place in the container."""

    source: Path
    target: str
    read_only: bool = True


class ContainerSpec(msgspec.Struct, frozen=True):
    """What to create. `memory` in bytes (swap is included in it, so there is none beside it).

    `folders` are places that must be there and be writable by any user, empty, without a host path:
    they serve an engine whose files are not ours. `entrypoint` and `command` stand for the image's own
    when None.
    """

    image: str
    name: str
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    folders: tuple[str, ...] = ()
    cpus: float = 1.0
    memory: int = 4 * 1024**3
    pids: int = 4096
    gpus: int = 0
    network: bool = False
    hardened: bool = False
    hostname: str = ""  # none: the engine's own choice
    hosts_file: Path | None = None  # mounted at /etc/hosts where the engine writes none of its own


class Exit(msgspec.Struct, frozen=True):
    """How a container ended. Times are seconds since 1970, by the engine's clock.

    `oom_killed` is the kernel's or the engine's word; its absence proves nothing. `error` is what the
    engine says when the program could not be started at all.
    """

    code: int
    oom_killed: bool = False
    error: str = ""
    started: float | None = None
    finished: float | None = None


class Usage(msgspec.Struct, frozen=True):
    """What a running container uses now: cpu seconds since its start, memory in bytes.

    `memory` is what the kernel cannot drop when it is short of it; `memory_peak` its own highest mark since
    the start, if it keeps one, where the cached content of files counts too.
    """

    cpu_seconds: float
    memory: int
    memory_peak: int | None
    read_bytes: int
    written_bytes: int
    pids: int


class ContainerSummary(msgspec.Struct, frozen=True):
    """A container that carries our labels; `started` holds also when it has ended since."""

    handle: Handle
    labels: Mapping[str, str]
    running: bool
    started: bool = True


class Engine(Protocol):
    """Whatever runs containers. Safe to use from several threads at once."""

    def info(self) -> EngineInfo:
        """Say what the engine is; asked once and remembered."""

    def find_image(self, reference: str) -> EngineImage | None:
        """Look up an image by id, name or digest; None when the engine has it not."""

    def load_image(self, archive: Iterable[bytes]) -> str:
        """Load a docker-save archive from a stream of chunks; the id of its one image."""

    def save_image(self, image: str) -> Iterator[bytes]:
        """The image as a docker-save archive, in a stream of chunks.

        Raises `ImageError` with cause IMAGE_MISSING, at the latest when the first chunk is asked for.
        """

    def pull_image(self, reference: str, progress: Progress = no_progress) -> EngineImage:
        """Fetch an image from its registry. Raises `ImageError` with cause IMAGE_PULL_FAILED."""

    def build_image(
        self,
        folder: Path,
        *,
        dockerfile: str = "Dockerfile",
        name: str,
        labels: Mapping[str, str],
        build_args: Mapping[str, str],
        progress: Progress = no_progress,
    ) -> EngineImage:
        """Build a folder and call the result `name`. Raises `ImageError` with IMAGE_BUILD_FAILED.

        A failed build leaves no image behind.
        """

    def tag_image(self, image: str, name: str) -> None:
        """Give an image another name."""

    def remove_image(self, name: str) -> None:
        """Take a name away, and the image when that was its last one; no error when it is gone."""

    def images(self, labels: Mapping[str, str]) -> list[EngineImage]:
        """Every image that carries all of these labels (value "": any value)."""

    def create(self, spec: ContainerSpec) -> Handle:
        """Make a container, not started. Raises `MountUnavailable`, `ImageError`, `EngineError`."""

    def start(self, handle: Handle) -> None:
        """Start it. Raises `EngineError` with cause ENTRYPOINT_INVALID when its program is not there."""

    def wait(self, handle: Handle) -> Exit:
        """Block until it has ended."""

    def logs(self, handle: Handle) -> Iterator[tuple[StreamName, bytes]]:
        """What it wrote and writes, from its start to its end."""

    def usage(self, handle: Handle) -> Generator[Usage, None, None]:
        """What it uses, about every second until it has ended; nothing when it does not run."""

    def size(self, handle: Handle) -> int:
        """Bytes that it has written to its own root, which lies on the engine's disk; takes a while.

        Answers when a start that is in progress is over: what `find` says then is the truth.
        """

    def stop(self, handle: Handle, grace: float) -> None:
        """Ask it to end (SIGTERM), and end it (SIGKILL) after `grace` seconds."""

    def remove(self, handle: Handle) -> None:
        """Remove it and its anonymous volumes, running or not."""

    def find(self, labels: Mapping[str, str]) -> list[ContainerSummary]:
        """Every container that carries all of these labels (value "": any value)."""

    def copy_in(self, handle: Handle, target: str, tar: Iterable[bytes]) -> None:
        """Unpack a tar below the folder `target` of a container, as the engine's root, owners kept."""

    def copy_out(self, handle: Handle, source: str) -> Iterator[bytes]:
        """Pack a file or folder of a container into a tar; its first member is the last part of `source`."""

    def abandon(self, thread: int) -> None:
        """Break off the call that a thread (`threading.get_ident`) waits in; it raises `EngineError` there.

        For calls that take long and change nothing that must be cleared up: a build, a pull, a load.
        """

    def close(self) -> None:
        """Let go of every connection."""
