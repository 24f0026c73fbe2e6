"""A container of the fake engine: a thread, a log and folders."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from queue import SimpleQueue

from msgspec.structs import replace

from localrun.engines.base import (
    ContainerSpec,
    ContainerStatus,
    EngineImage,
    Exit,
    Handle,
    LogChunk,
    StreamName,
    Usage,
)
from localrun.errors import EngineError

KILLED = 128 + 9

Program = Callable[["FakeContainer"], int | Exit | None]


class Output:
    """An output stream of a fake container; accepts text (for `print(..., file=...)`) and bytes."""

    def __init__(self, container: FakeContainer, name: StreamName) -> None:
        self._container = container
        self._name = name

    def write(self, data: str | bytes) -> int:
        self._container.record(self._name, data.encode() if isinstance(data, str) else data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: writes are not buffered."""


class FakeAttachedLog:
    """The live output of a fake container."""

    def __init__(self, container: FakeContainer) -> None:
        self._container = container

    def __iter__(self) -> Iterator[LogChunk]:
        return self._container.live_log()

    def close(self) -> None:
        """Do nothing: there is no connection."""


class FakeSession(FakeAttachedLog):
    """The standard streams of a fake container."""

    def send(self, data: bytes) -> None:
        self._container.stdin.put(data)

    def end_input(self) -> None:
        self._container.stdin.put(b"")


class FakeContainer:
    """A program's view of its container: command, environment, files and signals.

    `stopped` is set by a stop request (SIGTERM), `killed` once the container was killed (SIGKILL). After
    that, everything the program does is ignored. `stdin` has what is typed, and b"" at its end; `size` is the
    rows and columns of the terminal, if known. `usage` is the resource usage that the engine reports; a
    program may replace it.
    """

    def __init__(self, handle: Handle, spec: ContainerSpec, image: EngineImage) -> None:
        self.handle = handle
        self.spec = spec
        self.image = image
        self.environment = dict(spec.environment)
        self.command = (spec.entrypoint or image.entrypoint) + (spec.command or image.command)
        self.stdout, self.stderr = Output(self, "stdout"), Output(self, "stderr")
        self.stopped, self.killed = threading.Event(), threading.Event()
        self.stdin: SimpleQueue[bytes] = SimpleQueue()
        self.size: tuple[int, int] | None = None
        self.usage = Usage(0.01, 1024**2, 1024**2, 0, 0, 1)
        self.root = Path(tempfile.mkdtemp(prefix="localrun-fake-"))
        for folder in spec.folders:
            self.path(folder).mkdir(parents=True, exist_ok=True)
        self._log: list[LogChunk] = []
        self._changed = threading.Condition()
        self._exit: Exit | None = None
        self._started: float | None = None
        self._worker: ThreadPoolExecutor | None = None

    def path(self, inside: str) -> Path:
        """Return the path on this machine. Raises `EngineError` for a path with `..`."""
        path = PurePosixPath("/", inside)
        if ".." in path.parts:
            raise EngineError(f"invalid path {inside!r}: must not contain '..'", path=inside)
        for mount in sorted(self.spec.mounts, key=lambda mount: -len(mount.target)):
            if path.is_relative_to(mount.target):
                return mount.source / path.relative_to(mount.target)
        return self.root / path.relative_to("/")

    @property
    def output_folder(self) -> str:
        """The task's output folder: the last mount or folder of the container."""
        return [*(mount.target for mount in self.spec.mounts), *self.spec.folders][-1]

    def record(self, name: StreamName, data: bytes) -> None:
        """Append to the log, unless the container has ended."""
        with self._changed:
            if self._exit is None and data:
                self._log.append((name, data))
                self._changed.notify_all()

    @property
    def running(self) -> bool:
        return self._started is not None and self._exit is None

    @property
    def started(self) -> bool:
        return self._started is not None

    def start(self, program: Program) -> None:
        """Run the program in a new thread; do nothing if it is already running."""
        with self._changed:
            if self.running:
                return
            self._started, self._exit = time.time(), None
            self._changed.notify_all()
        self.close()
        self.stopped.clear()
        self.killed.clear()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"localrun-fake-{self.handle[:8]}")
        self._worker.submit(program, self).add_done_callback(self._on_return)

    def _on_return(self, future: Future[int | Exit | None]) -> None:
        error = future.exception()
        if error is None:
            result = future.result()
            self._set_exit(result if isinstance(result, Exit) else Exit(result or 0))
        else:
            self.stderr.write("".join(traceback.format_exception(error)))
            self._set_exit(Exit(1))

    def _set_exit(self, how: Exit) -> None:
        with self._changed:
            if self._exit is None:
                self._exit = replace(
                    how, started=how.started or self._started, finished=how.finished or time.time()
                )
                self._changed.notify_all()

    def status(self) -> ContainerStatus:
        with self._changed:
            if self._exit is not None or self._started is None:
                return ContainerStatus(self._exit, self._exit.seconds if self._exit else None)
            return ContainerStatus(None, time.time() - self._started)

    def wait(self) -> Exit:
        with self._changed:
            self._changed.wait_for(lambda: self._exit is not None)
            assert self._exit is not None
            return self._exit

    def ends_within(self, seconds: float) -> bool:
        """Wait at most `seconds` and return whether the container has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: self._exit is not None, seconds)

    def log(self, *, follow: bool = True, tail: int | None = None) -> Iterator[LogChunk]:
        """Yield the output: what there is, or with `follow` all until the end. `tail` counts writes."""
        with self._changed:
            first = 0 if tail is None else max(0, len(self._log) - tail)
        for number in itertools.count(first):
            with self._changed:
                while follow and self.running and number >= len(self._log):
                    self._changed.wait()
                if number >= len(self._log):
                    return
                entry = self._log[number]
            yield entry

    def live_log(self) -> Iterator[LogChunk]:
        """Yield the output of a container that may not have been started yet, until its end."""
        with self._changed:
            self._changed.wait_for(lambda: self.started or self._exit is not None)
        yield from self.log()

    def stop(self, grace: float) -> None:
        """Request a stop, and kill it after `grace` seconds; later output of the program is ignored."""
        if not self.running:
            return
        self.stopped.set()
        with self._changed:
            self._changed.wait_for(lambda: self._exit is not None, timeout=grace)
        self.killed.set()
        self._set_exit(Exit(KILLED))

    def close(self) -> None:
        """Wait for the thread of a program that has ended or was stopped."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.shutdown(wait=True)

    def remove(self) -> None:
        """Kill the container and delete its files."""
        self.stop(0)
        self._set_exit(Exit(KILLED))
        self.close()
        shutil.rmtree(self.root, ignore_errors=True)
