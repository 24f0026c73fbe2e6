"""Monitoring of a running container: log, time limit, usage, disk and engine."""

from __future__ import annotations

import codecs
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import msgspec

from localrun import fs
from localrun.engines.base import AttachedLog, Engine, Exit, Handle, StreamName, Usage
from localrun.engines.labels import LABEL_TASK
from localrun.engines.log_position import STREAM_NAMES
from localrun.errors import Cause, ContainerGone, EngineError, TaskKilled
from localrun.platforms import profiles
from localrun.runner.diagnosis import STOPPED
from localrun.runner.disk_guard import DiskMonitor, MonitoredTask
from localrun.runner.host_memory import HostMemory
from localrun.runner.log_follower import LogFollower
from localrun.runner.stall import StallDetector, idle_seconds
from localrun.runner.time_limit import TimeLimit
from localrun.runner.usage import UsageSampler
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.log import TaskLog
from localrun.task.record import UsageRecord

_Decoder = codecs.getincrementaldecoder("utf-8")
_ENGINE_LOST = (Cause.ENGINE_LOST, Cause.ENGINE_UNREACHABLE)
_LOG_TIMEOUT = 5.0  # seconds; the shortest time without any data after which the log is given up


class Observation(msgspec.Struct, frozen=True):
    """The exit of a container, the end of its log, and what happened to it.

    `disk_pressure` is the reason if it was stopped for the disk. `engine_lost` means that the engine was
    unreachable for a while, `engine_stopped` that it ended the container to shut down itself. `killed` means
    that the task was cancelled before the container ended.
    """

    exit: Exit
    log: str
    timed_out: bool
    killed: bool
    disk_pressure: str
    engine_lost: bool
    engine_stopped: bool
    host_oom: bool  # the kernel killed a process of this machine while its memory was nearly full


class ContainerMonitor:
    """Monitors one started container.

    `live` is its output if it was attached before the start. With `resume`, the log continues the one that
    another process has written.
    """

    def __init__(
        self,
        engine: Engine,
        disk: DiskMonitor,
        settings: Settings,
        task: ActiveTask,
        handle: Handle,
        *,
        live: AttachedLog | None = None,
        resume: bool = False,
    ) -> None:
        self.engine = engine
        self.disk_monitor = disk
        self.settings = settings
        self.task = task
        self.handle = handle
        self.live = live
        self.resume = resume
        self.disk_pressure = ""
        self.engine_lost = False
        self.engine_stopped = False

    def wait(self) -> Observation:
        """Wait until the container has ended. Raises `EngineError` if the engine does not come back."""
        task = self.task
        if not self.resume:
            task.workspace.log.unlink(missing_ok=True)  # of a container that was lost
        log = TaskLog(task.workspace.log, self.settings.log_limit, resume=self.resume)
        memory = HostMemory()
        with (
            self._log_follower(log),
            self._time_limit() as limit,
            self._usage_sampler(log) as sampler,
            self.disk_monitor.monitor(
                task.id,
                MonitoredTask(self._written_bytes, self._stop_for_disk, sampler.on_tick, memory.on_sample),
            ),
        ):
            if task.is_cancelled:  # requested between the last check and the start
                self.engine.stop(self.handle, self.settings.grace)
            exit_ = self._wait_for_exit()
            killed = task.was_cancelled_before(self._ended_at(exit_))
        return Observation(
            exit_,
            log.tail,
            timed_out=limit is not None and limit.is_exceeded(exit_, by_duration=not self.engine_lost),
            killed=killed,
            disk_pressure=self.disk_pressure,
            engine_lost=self.engine_lost,
            engine_stopped=self.engine_stopped,
            host_oom=memory.has_killed(),
        )

    def _ended_at(self, exit_: Exit) -> float | None:
        """Return when the container ended by itself, by the clock of this machine."""
        if exit_.finished is None or exit_.code in STOPPED:
            return None
        return exit_.finished - self.engine.info().clock_offset

    def _wait_for_exit(self) -> Exit:
        try:
            exit_ = self.engine.wait(self.handle)
            if self.engine.is_stopped_by_shutdown(self.handle, exit_):
                self._wait_for_restart(exit_)
            return exit_
        except EngineError as error:
            if _is_final(error):
                raise
            self._wait_for_engine(error)
            return self.engine.wait(self.handle)

    def _wait_for_restart(self, exit_: Exit) -> None:
        """Wait for an engine that stopped the container to shut down; the exit is known in any case."""
        self.engine_stopped = True
        if not self.task.is_cancelled:
            with suppress(EngineError, TaskKilled):
                self._wait_for_engine(EngineError("it was shut down", cause=Cause.ENGINE_LOST), exit_)

    def _wait_for_engine(self, error: EngineError, exit_: Exit | None = None) -> None:
        """Wait for an engine to restart: it still has its containers and their exits."""
        self.engine_lost = True
        patience = self.settings.engine_patience
        self.task.emit("warning", f"lost the connection to the engine; waiting up to {patience:g} s for it")
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.task.wait_for_cancel(min(0.5, patience)):
                self.task.check_cancelled()
            try:
                self._check_engine()
                # until it has ended, it answers on open connections
                if exit_ is None or not self.engine.is_stopped_by_shutdown(self.handle, exit_):
                    return
            except EngineError as still_lost:
                if _is_final(still_lost):
                    raise
        raise EngineError(
            f"the engine was lost while the task ran and did not come back within {patience:g} s:"
            f" {error.message}",
            cause=Cause.ENGINE_LOST,
            remedy="start the engine; the next `localrun run` in this folder stops the container",
        ) from error

    def _check_engine(self) -> None:
        """Raise `EngineError` if the engine is lost, or no longer has the container."""
        if not self.engine.find({LABEL_TASK: self.task.id}):
            raise ContainerGone(
                "the container is gone after an engine restart",
                cause=Cause.ENGINE_LOST,
                remedy="run the task again",
            )

    def _written_bytes(self) -> int:
        try:
            own = self.engine.size(self.handle)
        except EngineError:  # the container has ended
            own = 0
        return own + fs.disk_usage(self.task.workspace.path)

    def _stop_for_disk(self, reason: str) -> None:
        self.disk_pressure = reason
        self.task.emit("warning", f"stopping the task: {reason}", killing=True)
        self.engine.stop(self.handle, 0)

    @contextmanager
    def _log_follower(self, log: TaskLog) -> Iterator[None]:
        task = self.task
        # incremental: a character may be split between two parts
        decoders = {name: _Decoder(errors="replace") for name in STREAM_NAMES}

        def show(stream: StreamName, data: bytes) -> None:
            task.emit("log", "", stream=stream, text=decoders[stream].decode(data))

        follower = LogFollower(self.engine, self.handle, log, task.masker, show)
        name = f"log-{task.short_id}"
        thread = threading.Thread(target=self._follow, args=(follower,), name=name, daemon=True)
        try:
            thread.start()
        except BaseException:
            log.close()
            raise
        try:
            yield
        finally:
            follower.set_ended()
            self._join(thread, follower)
            log.close()
            for warning in log.warnings():
                task.warn(warning)

    def _follow(self, follower: LogFollower) -> None:
        try:
            follower.follow(self.live)
        except EngineError as error:
            # `wait` gets the same error and handles it
            self.task.warn(f"the log may be incomplete: {error.message}")

    def _join(self, thread: threading.Thread, follower: LogFollower) -> None:
        """Wait for the rest of the log for as long as the engine sends any."""
        patience = max(_LOG_TIMEOUT, self.settings.engine_patience)
        while thread.is_alive():
            before = follower.progress
            thread.join(patience)
            if thread.is_alive() and follower.progress == before and thread.ident is not None:
                follower.abandon()
                self.engine.abandon(thread.ident)
                thread.join(_LOG_TIMEOUT)
                self.task.warn(f"the log may be incomplete: the engine sent nothing for {patience:g} s")
                return

    @contextmanager
    def _usage_sampler(self, log: TaskLog) -> Iterator[UsageSampler]:
        stall, workspace = StallDetector(self.settings.stall), self.task.workspace
        unchanged = partial(idle_seconds, workspace.outputs)

        def on_sample(usage: Usage, total: UsageRecord) -> None:
            self.task.update(usage=total)  # for this process only; others read the usage file
            warning = stall.check(time.monotonic(), log.size, usage, unchanged)
            if warning:
                self.task.warn(warning, stalled=True)
                self.task.save()

        sampler = UsageSampler(self.engine, self.handle, workspace.usage, on_sample)
        sampler.start()
        try:
            yield sampler
        finally:
            self.task.update(usage=sampler.close())

    @contextmanager
    def _time_limit(self) -> Iterator[TimeLimit | None]:
        seconds, started = self.task.record.timeout, self.task.record.steps[-1].started
        if seconds is None:
            yield None
            return
        limit = TimeLimit(self.engine, self.handle, seconds, self._time_out)
        with limit.enforced(time.time() - started if started else 0.0):
            yield limit

    def _time_out(self) -> None:
        record = self.task.record
        message = f"the task reached its time limit of {record.timeout:g} s; stopping it"
        self.task.emit("note", message, killing=True)
        self.engine.stop(self.handle, profiles.for_record(record).grace_period(self.settings))


def _is_final(error: EngineError) -> bool:
    """Return whether waiting for the engine is useless."""
    return isinstance(error, ContainerGone) or error.cause not in _ENGINE_LOST
