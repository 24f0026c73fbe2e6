"""The fake engine."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import tarfile
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from localrun import fs
from localrun.engines.base import (
    AttachedLog,
    ContainerSpec,
    ContainerStatus,
    ContainerSummary,
    EngineInfo,
    Exit,
    Handle,
    LogChunk,
    Usage,
)
from localrun.engines.fake.container import FakeAttachedLog, FakeContainer, FakeSession, Program
from localrun.engines.fake.images import FakeImages, has_labels
from localrun.engines.fake.script import Script, write_file
from localrun.engines.labels import is_own_container
from localrun.errors import Cause, ContainerFileMissing, ContainerGone, EngineError, MountUnavailable

INFO = EngineInfo("fake", "1.0", "linux", "amd64", cpus=8, memory=32 * 1024**3, root="/")


class FakeEngine(FakeImages):
    """An engine that runs Python functions.

    `program` is called with a `FakeContainer` and returns an exit code, an `Exit`, or None for 0. With
    `shares_files=False` it behaves like a remote engine: nothing can be mounted. A container's image must
    exist: `add_image` creates one, `load_image` loads one from an archive. `gpu_devices` are the GPUs that
    containers get, at most as many as requested; by default all that are requested.
    """

    def __init__(
        self, program: Program | None = None, *, info: EngineInfo = INFO, shares_files: bool = True
    ) -> None:
        super().__init__()
        self.program: Program = program or (lambda _container: 0)
        self.shares_files = shares_files
        self.usage_interval = 1.0
        self.shuts_down = False
        self.gpu_devices: tuple[str, ...] | None = info.gpu_devices or None
        self._info = info
        self._lock = threading.Lock()
        self._containers: dict[Handle, FakeContainer] = {}
        self._numbers = itertools.count(1)

    @classmethod
    def script(cls, parts: Sequence[Program] | Mapping[str, Sequence[Program]]) -> FakeEngine:
        """Return an engine whose nth run plays the nth part; a mapping has separate parts for each image."""
        return cls(Script(parts if isinstance(parts, Mapping) else {"*": parts}))

    def info(self) -> EngineInfo:
        return self._info

    def create(self, spec: ContainerSpec) -> Handle:
        image = self.require_image(spec.image)
        hosts_file = () if spec.network or spec.hosts_file is None else (spec.hosts_file,)
        for source in (*(mount.source for mount in spec.mounts), *hosts_file):
            if not self.shares_files or not source.exists():
                message = f"the engine cannot see a path of this machine: {source}"
                raise MountUnavailable(message, path=str(source))
        if spec.gpus and not self._info.gpus:
            message = "could not select device driver with capabilities: [[gpu]]"
            raise EngineError(message, remedy="request no GPUs", cause=Cause.GPU_UNAVAILABLE)
        with self._lock:
            if any(other.spec.name == spec.name for other in self._containers.values()):
                raise EngineError(f"the name {spec.name!r} is already in use", remedy="choose another name")
            handle = hashlib.sha256(f"{id(self)} {next(self._numbers)}".encode()).hexdigest()
            self._containers[handle] = FakeContainer(handle, spec, image)
        return handle

    def gpus(self, handle: Handle) -> tuple[str, ...]:
        requested = self.container(handle).spec.gpus
        if self.gpu_devices is None:
            return tuple(map(str, range(requested)))
        return self.gpu_devices[:requested]

    def container(self, handle: Handle) -> FakeContainer:
        """Return the container with this handle. Raises `ContainerGone`."""
        with self._lock:
            found = self._containers.get(handle)
        if found is None:
            raise ContainerGone("the container no longer exists", handle=handle)
        return found

    def start(self, handle: Handle) -> None:
        self.container(handle).start(self.program)

    def wait(self, handle: Handle) -> Exit:
        return self.container(handle).wait()

    def attach(self, handle: Handle) -> AttachedLog | None:
        return FakeAttachedLog(self.container(handle))

    def connect(self, handle: Handle) -> FakeSession:
        return FakeSession(self.container(handle))

    def resize(self, handle: Handle, rows: int, columns: int) -> None:
        with suppress(ContainerGone):
            self.container(handle).size = (rows, columns)

    def logs(self, handle: Handle, *, follow: bool = True, tail: int | None = None) -> Iterator[LogChunk]:
        yield from self.container(handle).log(follow=follow, tail=tail)

    def inspect(self, handle: Handle) -> ContainerStatus:
        return self.container(handle).status()

    def is_stopped_by_shutdown(self, handle: Handle, exit_: Exit) -> bool:  # noqa: ARG002
        """Return `shuts_down`, which a test sets."""
        return self.shuts_down

    def measure(self, handle: Handle) -> Usage | None:
        """Return None: a function has no control group."""

    def usage(self, handle: Handle) -> Generator[Usage, None, None]:
        """Yield `container.usage` every `usage_interval` seconds until the container ends."""
        container = self.container(handle)
        while container.running:
            yield container.usage
            container.ends_within(self.usage_interval)

    def size(self, handle: Handle) -> int:
        return fs.folder_size(self.container(handle).root)

    def stop(self, handle: Handle, grace: float) -> None:
        with self._lock:
            found = self._containers.get(handle)
        if found:
            found.stop(grace)

    def remove(self, handle: Handle) -> None:
        with self._lock:
            found = self._containers.pop(handle, None)
        if found:
            found.remove()

    def find(self, labels: Mapping[str, str]) -> list[ContainerSummary]:
        with self._lock:
            containers = list(self._containers.values())
        return [
            ContainerSummary(each.handle, dict(each.spec.labels), each.running, each.started)
            for each in containers
            if has_labels(each.spec.labels, labels) and is_own_container(each.spec.name, each.spec.labels)
        ]

    def copy_in(self, handle: Handle, target: str, tar: Iterable[bytes]) -> None:
        container = self.container(handle)
        if not container.path(target).is_dir():
            raise EngineError(f"the container has no folder {target}", path=target)
        with tarfile.open(fileobj=io.BytesIO(b"".join(tar))) as archive:
            for member in archive:
                _unpack(archive, member, container.path(f"{target}/{member.name}"))

    def copy_out(self, handle: Handle, source: str) -> Iterator[bytes]:
        path = self.container(handle).path(source)
        if not os.path.lexists(path):
            raise ContainerFileMissing(f"the container has no {source}", path=source)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(path, arcname=PurePosixPath(source).name)
        yield packed.getvalue()

    def abandon(self, thread: int) -> None:
        """Do nothing: no call of this engine takes long."""

    def close(self) -> None:
        """Kill and remove all containers."""
        with self._lock:
            containers, self._containers = list(self._containers.values()), {}
        for container in containers:
            container.remove()


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
    elif member.issym():
        path.symlink_to(member.linkname)
    elif member.isreg():
        content = archive.extractfile(member)
        write_file(path, content.read() if content else b"")
