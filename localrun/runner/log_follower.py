"""The complete output of a container: live while it runs, completed from the engine's copy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from localrun.engines.base import AttachedLog, Engine, Handle, LogChunk, StreamName
from localrun.engines.log_position import LogMismatch
from localrun.errors import ContainerGone, EngineError
from localrun.masking.masker import SecretMasker
from localrun.task.log import TaskLog

_EXIT_DELAY = 1.0  # seconds between the end of the live output and the reported exit of the container
_RETRY_DELAY = 1.0  # seconds between two attempts to read the log of an engine that was lost
_LAST_LINES = 4  # that are compared with the engine's copy

OnOutput = Callable[[StreamName, bytes], None]


class LogFollower:
    """Writes the masked output of a container to its log.

    The live output may break off: the connection is lost, or localrun was suspended and read nothing. What is
    missing is then read from the engine's copy. `log` may already have the start of the output, if another
    process has written it. `progress` increases while the engine sends anything.
    """

    def __init__(
        self,
        engine: Engine,
        handle: Handle,
        log: TaskLog,
        masker: SecretMasker,
        on_output: OnOutput = lambda _stream, _data: None,
    ) -> None:
        self._engine = engine
        self._handle = handle
        self._log = log
        self._masker = masker
        self._on_output = on_output
        self._ended = threading.Event()
        self._is_abandoned = False
        self._is_complete = False
        self.progress = 0

    def set_ended(self) -> None:
        """Note that the container has ended, or is lost: no more output will come."""
        self._ended.set()

    def abandon(self) -> None:
        """Stop after the call in progress."""
        self._is_abandoned = True
        self._ended.set()

    def follow(self, live: AttachedLog | None) -> None:
        """Write all output until the container has ended.

        `live` was attached before the container's start; None reads the engine's log instead. Raises
        `EngineError` if the output cannot be completed.
        """
        while not self._ended.is_set():
            try:
                self._read_once(live)
                break
            except ContainerGone:
                self._ended.wait()
            except EngineError:
                live, self._is_complete = None, False
                self._ended.wait(_RETRY_DELAY)
        self.complete()

    def _read_once(self, live: AttachedLog | None) -> None:
        if live is not None:
            self._is_complete = True
            self._deliver(self._masked(self._until_end(live)))
        else:
            self._resume(follow=True)
            self._ended.wait()
            self._is_complete = not self._engine.info().log_has_gaps

    def _until_end(self, live: AttachedLog) -> Iterator[LogChunk]:
        yield from self._counted(live)
        if not self._ended.wait(_EXIT_DELAY):
            raise EngineError("the connection to the task's output was closed early")

    def complete(self) -> None:
        """Compare the log of an ended container with the engine's copy, and add what is missing."""
        if self._is_abandoned or (self._is_complete and self._has_end()):
            return
        self._resume(follow=False)

    def _has_end(self) -> bool:
        return self._log.position.ends_like(self._masked(self._copy(follow=False, tail=_LAST_LINES)))

    def _resume(self, *, follow: bool) -> None:
        """Deliver what follows the log in the engine's copy."""
        try:
            self._deliver(self._log.position.remaining(self._masked(self._copy(follow=follow))))
        except LogMismatch:
            self._resume_rotated(follow=follow)

    def _resume_rotated(self, *, follow: bool) -> None:
        """Deliver what follows the log in a copy that has lost its start, or has more than the log."""
        found = self._log.position.locate(self._masked(self._copy(follow=False)))
        again = self._masked(self._copy(follow=follow))
        if found.is_whole and (self._engine.info().log_has_gaps or not found.is_found):
            self._log.restart()
            self._deliver(again, show=False)
            return
        if not found.is_found:
            self._log.mark_gap()
        self._deliver(found.after(again))

    def _copy(self, *, follow: bool, tail: int | None = None) -> Iterator[LogChunk]:
        return self._counted(self._engine.logs(self._handle, follow=follow, tail=tail))

    def _counted(self, chunks: AttachedLog | Iterator[LogChunk]) -> Iterator[LogChunk]:
        for chunk in chunks:
            self.progress += 1
            yield chunk

    def _masked(self, chunks: Iterator[LogChunk]) -> Iterator[LogChunk]:
        return self._masker.mask_stream(chunks)

    def _deliver(self, chunks: Iterator[LogChunk], *, show: bool = True) -> None:
        for name, text in chunks:
            if text:
                self._log.write(text, name)
                if show:
                    self._on_output(name, text)
