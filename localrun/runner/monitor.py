"""Watching a task's container to its end: its log, its time, its disk, and the engine itself."""

from __future__ import annotations

import codecs
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from localrun import fs
from localrun.engines.base import Engine, Exit, Handle, Usage
from localrun.engines.labels import LABEL_TASK
from localrun.errors import Cause, ContainerGone, EngineError
from localrun.platforms import profiles
from localrun.runner.disk_guard import DiskMonitor, MonitoredTask
from localrun.runner.stall import StallDetector, idle_seconds
from localrun.runner.usage import UsageSampler
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.log import TaskLog
from localrun.task.record import UsageRecord

_Decoder = codecs.getincrementaldecoder("utf-8")
_ENGINE_AWAY = (Cause.ENGINE_LOST, Cause.ENGINE_UNREACHABLE)
_STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
_LOG_DEADLINE = 5.0  # seconds that the rest of a log may take after the container has ended


class Observation(msgspec.Struct, frozen=True):
    """What was seen of a container: how it ended, the end of its log, and what we did to it.

    `pressed` says why it was stopped for the disk, `lost` that the engine went away meanwhile.
    """

    exit: Exit
    log: str
    timed_out: bool
    disk_pressure: str
    engine_lost: bool


class ContainerMonitor:
    """Watches one container that was started."""

    def __init__(
        self,
        engine: Engine,
        disk_monitor: DiskMonitor,
        settings: Settings,
        *,
        task: ActiveTask,
        handle: Handle,
    ) -> None:
        self.engine = engine
        self.disk_monitor = disk_monitor
        self.settings = settings
        self.task = task
        self.handle = handle
        self.timed_out = False
        self.disk_pressure = ""
        self.engine_lost = False

    def wait(self) -> Observation:
        """Wait for the end of the container. Raises `EngineError` when the engine does not come back."""
        task = self.task
        task.workspace.log.unlink(missing_ok=True)  # the engine tells all of it, from the start
        log = TaskLog(task.workspace.log, self.settings.log_limit)
        with (
            self._followed(log),
            self._limited(),
            self._measured(log) as meter,
            self.disk_monitor.monitor(task.id, MonitoredTask(self._written, self._relieve, meter.on_tick)),
        ):
            if task.is_cancelled:  # asked for between the last look and the start
                self.engine.stop(self.handle, self.settings.grace)
            exit_ = self._exit()
        return Observation(exit_, log.tail, self.timed_out, self.disk_pressure, self.engine_lost)

    def _exit(self) -> Exit:
        try:
            exit_ = self.engine.wait(self.handle)
            if exit_.code in _STOPPED:  # perhaps by an engine that is going away
                self._check_engine()
            return exit_
        except EngineError as error:
            if _is_final(error):
                raise
            self._await_engine(error)
            return self.engine.wait(self.handle)

    def _await_engine(self, error: EngineError) -> None:
        """An engine that is restarted has its containers again; how they ended is asked then."""
        self.engine_lost = True
        patience = self.settings.engine_patience
        self.task.emit("warning", f"the engine went away; waiting for it for at most {patience:g} s")
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.task.wait_for_cancel(min(0.5, patience)):
                self.task.check_cancelled()
            try:
                return self._check_engine()
            except EngineError as still_away:
                if _is_final(still_away):
                    raise
        raise EngineError(
            "the engine went away while the task ran, and was not back within"
            f" {patience:g} s: {error.message}",
            cause=Cause.ENGINE_LOST,
            remedy="start the engine; if the container still runs, the next `localrun run` here ends it",
        ) from error

    def _check_engine(self) -> None:
        """Raise `EngineError` when the engine is away, or does not know the container any more."""
        if not self.engine.find({LABEL_TASK: self.task.id}):
            raise ContainerGone(
                "the engine was restarted and does not know the task's container any more",
                cause=Cause.ENGINE_LOST,
                remedy="run the task again",
            )

    def _written(self) -> int:
        try:
            own = self.engine.size(self.handle)
        except EngineError:  # it has just ended
            own = 0
        return own + fs.disk_usage(self.task.workspace.path)

    def _relieve(self, why: str) -> None:
        self.disk_pressure = why
        self.task.emit("warning", f"the task is being stopped: {why}", killing=True)
        self.engine.stop(self.handle, 0)

    @contextmanager
    def _followed(self, log: TaskLog) -> Iterator[None]:
        follower = threading.Thread(
            target=self._follow, args=(log,), name=f"log-{self.task.short_id}", daemon=True
        )
        follower.start()
        try:
            yield
        finally:
            follower.join(_LOG_DEADLINE)
            log.close()

    def _follow(self, log: TaskLog) -> None:
        try:
            # a character may be split between two pieces
            decoders = {name: _Decoder(errors="replace") for name in ("stdout", "stderr")}
            for stream, data in self.task.masker.mask_stream(self.engine.logs(self.handle)):
                log.write(data, stream)
                self.task.emit("log", "", stream=stream, text=decoders[stream].decode(data))
        except EngineError as error:
            # the waiting side meets the same trouble and decides the end
            self.task.emit("warning", f"the log may be incomplete: {error.message}")

    @contextmanager
    def _measured(self, log: TaskLog) -> Iterator[UsageSampler]:
        stall, place = StallDetector(self.settings.stall), self.task.workspace
        unchanged = partial(idle_seconds, place.outputs)

        def hear(usage: Usage, total: UsageRecord) -> None:
            self.task.update(usage=total)  # in memory, for who asks this process; the others read the file
            self._warn_of(stall.check(time.monotonic(), log.size, usage, unchanged))

        meter = UsageSampler(self.engine, self.handle, place.usage, hear)
        try:
            yield meter
        finally:
            self.task.update(usage=meter.close())

    def _warn_of(self, stalled: str) -> None:
        if stalled:
            self.task.warn(stalled, stalled=True)
            self.task.save()

    @contextmanager
    def _limited(self) -> Iterator[None]:
        limit, begun = self.task.record.timeout, self.task.record.steps[-1].started
        if limit is None:
            yield
            return
        passed = time.time() - begun if begun else 0.0
        timer = threading.Timer(max(0.0, limit - passed), self._time_out)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _time_out(self) -> None:
        self.timed_out = True
        self.task.emit(
            "note",
            f"the task reached its limit of {self.task.record.timeout:g} s and is being stopped",
            killing=True,
        )
        self.engine.stop(self.handle, profiles.for_record(self.task.record).grace_period(self.settings))


def _is_final(error: EngineError) -> bool:
    """Whether waiting for the engine would change nothing."""
    return isinstance(error, ContainerGone) or error.cause not in _ENGINE_AWAY
