"""The engine protocol, and the data that its methods exchange.

The contract, which `tests/engines/test_contract.py` checks for every engine:

1. A handle is a string that can be saved and used by any process.
2. `stop` and `remove` are idempotent: a stopped or removed container is not an error.
3. `wait` blocks without polling. Every call returns the same `Exit`, in any process.
4. `create` raises `MountUnavailable` if the engine cannot see a path to mount, and leaves nothing behind.
5. Every error is a `LocalrunError`: `EngineUnreachable` if there is no answer, `ContainerGone` if the
   handle is unknown, `ImageError` for image problems, `EngineError` for the rest.
6. Differences between engines are data in `EngineInfo`. No caller checks the engine's name.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from localrun.engines.architectures import Platform, platform_of
from localrun.engines.session import Interactive

Handle = str
StreamName = Literal["stdout", "stderr"]
LogChunk = tuple[StreamName, bytes]

# (description, bytes done, bytes in total or None): called during a long operation; may raise to end it
Progress = Callable[[str, int, int | None], None]

LIMITS = ("memory", "swap", "pids", "cpu")  # of a container
IMAGE_CONTEXT = "docker-image://"  # of a build context that is an image
# not sent to a build unless `.dockerignore` includes them: programs do not need them, and they change
DEFAULT_IGNORES = ("**/.git", "**/.localrun")

Warn = Callable[[str], None]


def no_warning(message: str) -> None:
    """Ignore the warning (default callback)."""


def no_progress(what: str, done: int, total: int | None) -> None:
    """Ignore the progress (default callback)."""


class EngineInfo(msgspec.Struct, frozen=True):
    """Version, resources and abilities of an engine.

    `memory` is in bytes. `root` is the engine's data folder on its own host. `unenforced` lists those of
    `LIMITS` that the engine ignores; those of a container that it has discarded are added. `clock_offset` is
    how many seconds the engine's clock was ahead of this machine's. `log_has_gaps` means that a followed log
    may miss parts, which reading it again delivers. `image_ids`: an image's id is the digest of its
    configuration, or of its manifest or index, which depends on how it was stored (containerd's image store).
    An engine that does not verify layers loads a damaged archive. `source` says why this engine was chosen,
    e.g. `DOCKER_HOST`. `warnings` are about the configuration that led to it.
    """

    name: str
    version: str
    os: str
    architecture: str  # as in OCI images: amd64, arm64, ...
    cpus: int
    memory: int
    root: str
    gpus: bool = False
    gpu_devices: tuple[str, ...] = ()  # the names of the GPUs, if the engine reports them
    rootless: bool = False
    address: str = ""
    api: str = ""
    storage: str = ""
    cgroups: str = ""  # the cgroup version: 1 or 2
    unenforced: tuple[str, ...] = ()
    clock_offset: float = 0.0
    log_has_gaps: bool = False
    image_ids: Literal["config", "manifest"] = "config"
    verifies_layers: bool = True
    source: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def platform(self) -> Platform:
        return platform_of(self.os, self.architecture)


class EngineImage(msgspec.Struct, frozen=True):
    """An image of the engine. `size` is in bytes.

    `content` is the digest of its layers and configuration (see `image_content`), whatever the engine's ids
    are; empty if it is not known.
    """

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
    variant: str = ""  # of the architecture: v7, ...
    parent: str = ""  # the image of the build step before, by the classic builder
    content: str = ""

    @property
    def platform(self) -> Platform:
        return platform_of(self.os, self.architecture, self.variant)


class BuildSecret(msgspec.Struct, frozen=True):
    """A secret of `RUN --mount=type=secret,id=ID`: the content of a file or of an environment variable.

    `value` is that content, to mask it in what the build prints. It is never stored.
    """

    id: str
    file: Path | None = None
    variable: str = ""
    value: str = ""

    def __repr__(self) -> str:
        """Return the fields without the value."""
        return f"BuildSecret({self.id!r}, file={self.file!r}, variable={self.variable!r})"


class BuildRequest(msgspec.Struct, frozen=True):
    """An image to build and tag `name`.

    `folder` is the context. `dockerfile` is absolute or relative to the context. `target` is the stage to
    build; empty: the last one. `contexts` replaces images of the Dockerfile: the name in `FROM` or
    `COPY --from` -> `docker-image://REFERENCE`. `platform` is e.g. `linux/arm64`; empty: the engine's.
    """

    folder: Path
    name: str
    dockerfile: str = "Dockerfile"
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    build_args: Mapping[str, str] = msgspec.field(default_factory=dict)
    target: str = ""
    secrets: tuple[BuildSecret, ...] = ()
    contexts: Mapping[str, str] = msgspec.field(default_factory=dict)
    platform: str = ""

    @property
    def dockerfile_path(self) -> Path:
        return self.folder / self.dockerfile


class BuilderInfo(msgspec.Struct, frozen=True):
    """What builds images: `buildx` or `cli` (clients of BuildKit), `buildah` (Podman), or `classic`.

    `path` and `version` are those of the client. `remedy` says how to get a better builder, if any.
    """

    kind: str
    path: str = ""
    version: str = ""
    remedy: str = ""


class Mount(msgspec.Struct, frozen=True):
    """A host path mounted at a path of the container."""

    source: Path
    target: str
    read_only: bool = True


class ContainerSpec(msgspec.Struct, frozen=True):
    """A container to create.

    `memory` is in bytes and includes swap, so the container has no swap. `folders` are empty folders that any
    user can write, without a host path: a remote engine uses them instead of mounts. If `entrypoint` or
    `command` is None, the image's own is used. `platform` selects one of an image for multiple platforms;
    empty: the engine's.
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
    hostname: str = ""  # empty: the engine chooses
    hosts_file: Path | None = None  # mounted at /etc/hosts if the engine does not write one
    platform: str = ""
    interactive: Literal["", "pipe", "terminal"] = ""  # its standard input is open, see `session`


class Exit(msgspec.Struct, frozen=True):
    """The exit of a container. Times are seconds since 1970, by the engine's clock.

    `oom_killed` is reported by the kernel or the engine; False proves nothing. `error` is the engine's
    message if the program could not be started.
    """

    code: int
    oom_killed: bool = False
    error: str = ""
    started: float | None = None
    finished: float | None = None

    @property
    def seconds(self) -> float | None:
        """How long the program ran; None if the engine does not know."""
        return None if self.started is None or self.finished is None else self.finished - self.started


class ContainerStatus(msgspec.Struct, frozen=True):
    """The status of a container: its exit, None if it has not ended, and how long it has run, in seconds.

    Both times of `elapsed` are read from the engine's clock. It is None if the container was never started.
    """

    exit: Exit | None
    elapsed: float | None


class Usage(msgspec.Struct, frozen=True):
    """Current resource usage of a running container: CPU seconds since its start, memory in bytes.

    `memory` is memory that the kernel cannot reclaim. `memory_peak` is the kernel's own maximum since the
    start, including cached files, or None if the kernel does not record it.
    """

    cpu_seconds: float
    memory: int
    memory_peak: int | None
    read_bytes: int
    written_bytes: int
    pids: int


class ContainerSummary(msgspec.Struct, frozen=True):
    """A container in a list. `started` is also True for one that has ended."""

    handle: Handle
    labels: Mapping[str, str]
    running: bool
    started: bool = True


class AttachedLog(Protocol):
    """The output of a container from its start, as it is written.

    Iterating ends when the container has ended. It may end early, or raise `EngineError`, if the connection
    is lost or this process reads too slowly: output never blocks the container.
    """

    def __iter__(self) -> Iterator[LogChunk]: ...

    def close(self) -> None:
        """Close the connection. Idempotent."""


class Engine(Interactive, Protocol):
    """A container engine. Thread-safe."""

    def info(self) -> EngineInfo:
        """Return the engine's properties, which are queried once and cached."""

    def find_image(self, reference: str, platform: str = "") -> EngineImage | None:
        """Return an image by id, name or digest, or None if the engine does not have it for this platform."""

    def load_image(self, archive: Iterable[bytes]) -> str:
        """Load a `docker save` archive from a stream of chunks and return the id of its only image."""

    def save_image(self, image: str) -> Iterator[bytes]:
        """Yield the image as a `docker save` archive in chunks.

        Raises `ImageError` with cause IMAGE_MISSING, at the latest when the first chunk is read.
        """

    def proxies(self) -> Mapping[str, str]:
        """Return the proxy variables that docker's configuration has for builds and containers."""

    def pull_image(
        self,
        reference: str,
        progress: Progress = no_progress,
        platform: str = "",
        warn: Warn = no_warning,
    ) -> EngineImage:
        """Pull an image from its registry, for the engine's platform unless another one is given.

        `warn` receives what is wrong with the credentials.
        Raises `ImageError` with cause IMAGE_PULL_FAILED, or IMAGE_PLATFORM if it does not exist for this one.
        """

    def builder(self) -> str:
        """Return a string that differs between builders whose images differ. Fast: starts no process."""

    def build_warnings(self, request: BuildRequest, /) -> tuple[str, ...]:
        """Return what the builder would ignore or handle differently than BuildKit, with line numbers."""

    def builder_info(self) -> BuilderInfo:
        """Return what builds images. May start the client to get its version."""

    def build_image(
        self, request: BuildRequest, progress: Progress = no_progress, warn: Warn = no_warning
    ) -> EngineImage:
        """Build an image. Raises `ImageError` with IMAGE_BUILD_FAILED, and leaves no image behind then.

        `warn` receives what is only known during the build. The build gets the `proxies`, which its own
        arguments override.
        """

    def tag_image(self, image: str, name: str) -> None:
        """Add a name to an image."""

    def remove_image(self, name: str) -> None:
        """Remove a name, and the image if that was its last one; do nothing if it does not exist."""

    def images(self, labels: Mapping[str, str]) -> list[EngineImage]:
        """Return all images with these labels (value "": any value)."""

    def create(self, spec: ContainerSpec) -> Handle:
        """Create a container without starting it. Raises `MountUnavailable`, `ImageError`, `EngineError`."""

    def start(self, handle: Handle) -> None:
        """Start it. Raises `EngineError` with cause ENTRYPOINT_INVALID if its program does not exist."""

    def wait(self, handle: Handle) -> Exit:
        """Block until the container has ended, and return its exit."""

    def attach(self, handle: Handle) -> AttachedLog | None:
        """Attach to a container before its start; None if this engine or connection does not support it."""

    def logs(self, handle: Handle, *, follow: bool = True, tail: int | None = None) -> Iterator[LogChunk]:
        """Yield the container's output from its start until it ends.

        The engine keeps a copy of limited size: the start of a very long log may be gone. See
        `EngineInfo.log_has_gaps`. Without `follow`, yield only what it has now. `tail` limits it to the last
        lines.
        """

    def inspect(self, handle: Handle) -> ContainerStatus:
        """Return the current status of the container, without waiting."""

    def gpus(self, handle: Handle) -> tuple[str, ...]:
        """Return the names of the GPUs that the engine has given to a container; `all` stands for all."""

    def is_stopped_by_shutdown(self, handle: Handle, exit_: Exit) -> bool:
        """Return whether a container has just ended because the engine is shutting down.

        Only an engine that still serves open connections knows; False proves nothing.
        """

    def measure(self, handle: Handle) -> Usage | None:
        """Return its current resource usage if this process can read that without the engine.

        None if it cannot, or if the container is not running.
        """

    def usage(self, handle: Handle) -> Generator[Usage, None, None]:
        """Yield its resource usage about every second until it ends; nothing if it is not running."""

    def size(self, handle: Handle) -> int:
        """Return the bytes written to the container's root, which is on the engine's disk.

        This takes a while. Returns only after a start in progress has finished, so `find` is accurate then.
        """

    def stop(self, handle: Handle, grace: float) -> None:
        """Send SIGTERM, and SIGKILL after `grace` seconds."""

    def remove(self, handle: Handle) -> None:
        """Remove the container and its anonymous volumes, even if it is running."""

    def find(self, labels: Mapping[str, str]) -> list[ContainerSummary]:
        """Return all containers with these labels (value "": any value)."""

    def copy_in(self, handle: Handle, target: str, tar: Iterable[bytes]) -> None:
        """Unpack a tar into the folder `target` of a container, as the engine's root, with its owners."""

    def copy_out(self, handle: Handle, source: str) -> Iterator[bytes]:
        """Yield a tar of a file or folder of a container. Raises `ContainerFileMissing`.

        Its first member is the last part of `source`, or "" (Podman, of a mount): others are `/PATH` then.
        """

    def abandon(self, thread: int) -> None:
        """Abort the call that a thread (`threading.get_ident`) waits for; it raises `EngineError` there.

        For long calls that leave nothing to clean up: a build, a pull, a load.
        """

    def close(self) -> None:
        """Close all connections."""
