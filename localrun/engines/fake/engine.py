"""The fake engine's containers."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import tarfile
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from localrun import fs
from localrun.engines.base import ContainerSpec, ContainerSummary, EngineInfo, Exit, Handle, StreamName, Usage
from localrun.engines.fake.container import FakeContainer, Program
from localrun.engines.fake.images import FakeImages, has_labels
from localrun.engines.fake.script import Script, write_file
from localrun.errors import ContainerGone, EngineError, MountUnavailable

INFO = EngineInfo("fake", "1.0", "linux", "amd64", cpus=8, memory=32 * 1024**3, root="/")


class FakeEngine(FakeImages):
    """An engine that runs Python functions.

    `program` gets a `FakeContainer` and returns an exit code, an `Exit`, or None for 0. `shares_files`
    False plays an engine on another machine: nothing can be mounted. Every image that a container names
    must be there: `add_image` makes one, `load_image` takes it from an archive.
    """

    def __init__(
        self, program: Program | None = None, *, info: EngineInfo = INFO, shares_files: bool = True
    ) -> None:
        super().__init__()
        self.program: Program = program or _nothing
        self.shares_files = shares_files
        self.usage_interval = 1.0
        self._info = info
        self._lock = threading.Lock()
        self._containers: dict[Handle, FakeContainer] = {}
        self._numbers = itertools.count(1)

    @classmethod
    def script(cls, parts: Sequence[Program] | Mapping[str, Sequence[Program]]) -> FakeEngine:
        """An engine whose nth run plays the nth part; a mapping gives each image its own parts."""
        return cls(Script(parts if isinstance(parts, Mapping) else {"*": parts}))

    def info(self) -> EngineInfo:
        """Say what the engine is."""
        return self._info

    def create(self, spec: ContainerSpec) -> Handle:
        """Make a container, not started."""
        image = self.require_image(spec.image)
        hosts_file = () if spec.network or spec.hosts_file is None else (spec.hosts_file,)
        for source in (*(mount.source for mount in spec.mounts), *hosts_file):
            if not self.shares_files or not source.exists():
                raise MountUnavailable(
                    f"the engine does not see a path of this machine: {source}", path=str(source)
                )
        with self._lock:
            if any(other.spec.name == spec.name for other in self._containers.values()):
                raise EngineError(f"the name {spec.name!r} is already in use", remedy="choose another name")
            handle = hashlib.sha256(f"{id(self)} {next(self._numbers)}".encode()).hexdigest()
            self._containers[handle] = FakeContainer(handle, spec, image)
        return handle

    def container(self, handle: Handle) -> FakeContainer:
        """The container behind a handle. Raises `ContainerGone`."""
        with self._lock:
            found = self._containers.get(handle)
        if found is None:
            raise ContainerGone("the engine does not know the container (any more)", handle=handle)
        return found

    def start(self, handle: Handle) -> None:
        """Start it."""
        self.container(handle).start(self.program)

    def wait(self, handle: Handle) -> Exit:
        """Block until it has ended."""
        return self.container(handle).wait()

    def logs(self, handle: Handle) -> Iterator[tuple[StreamName, bytes]]:
        """What it wrote and writes, from its start to its end."""
        yield from self.container(handle).log()

    def usage(self, handle: Handle) -> Generator[Usage, None, None]:
        """What its program has put into `container.usage`, every `pulse` seconds until it has ended."""
        container = self.container(handle)
        while container.running:
            yield container.usage
            container.ends_within(self.usage_interval)

    def size(self, handle: Handle) -> int:
        """Bytes that it has written to its own root."""
        return fs.folder_size(self.container(handle).root)

    def stop(self, handle: Handle, grace: float) -> None:
        """Ask it to end, and end it after `grace` seconds."""
        with self._lock:
            found = self._containers.get(handle)
        if found:
            found.stop(grace)

    def remove(self, handle: Handle) -> None:
        """Remove it, running or not, with its files."""
        with self._lock:
            found = self._containers.pop(handle, None)
        if found:
            found.remove()

    def find(self, labels: Mapping[str, str]) -> list[ContainerSummary]:
        """Every container that carries all of these labels."""
        with self._lock:
            containers = list(self._containers.values())
        return [
            ContainerSummary(each.handle, dict(each.spec.labels), each.running, each.started)
            for each in containers
            if has_labels(each.spec.labels, labels)
        ]

    def copy_in(self, handle: Handle, target: str, tar: Iterable[bytes]) -> None:
        """Unpack a tar below a folder of a container."""
        container = self.container(handle)
        if not container.path(target).is_dir():
            raise EngineError(f"the container has no folder {target}", path=target)
        with tarfile.open(fileobj=io.BytesIO(b"".join(tar))) as archive:
            for member in archive:
                _unpack(archive, member, container.path(f"{target}/{member.name}"))

    def copy_out(self, handle: Handle, source: str) -> Iterator[bytes]:
        """Pack a file or folder of a container into a tar."""
        path = self.container(handle).path(source)
        if not os.path.lexists(path):
            raise EngineError(f"the container has no {source}", path=source)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(path, arcname=PurePosixPath(source).name)
        yield packed.getvalue()

    def abandon(self, thread: int) -> None:
        """Nothing takes long here."""

    def close(self) -> None:
        """End and remove every container."""
        with self._lock:
            containers, self._containers = list(self._containers.values()), {}
        for container in containers:
            container.remove()


def _nothing(container: FakeContainer) -> int:  # noqa: ARG001 - a program gets its container
    return 0


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
    elif member.issym():
        path.symlink_to(member.linkname)
    elif member.isreg():
        content = archive.extractfile(member)
        write_file(path, content.read() if content else b"")
