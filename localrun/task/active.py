"""An active task: its record, its folder, and the only method that changes its state."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from localrun.errors import Cause, LocalrunError, TaskKilled
from localrun.masking import store
from localrun.masking.masker import SecretMasker
from localrun.task import input_folder, states
from localrun.task.events import KINDS, Event, Listener
from localrun.task.record import StepRecord, TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.task.workspace import Workspace

if TYPE_CHECKING:
    from localrun.task.outcome import Outcome

_EVENTS = threading.Lock()
_CLOCK_ERROR = 0.2  # seconds by which the times of the engine and of this machine may differ


def _nothing() -> None: ...


class _Flag:
    """A flag that creates its `threading.Event` on the first wait. Most tasks are never waited for."""

    def __init__(self) -> None:
        self._is_set = False
        self._event: threading.Event | None = None

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        with _EVENTS:
            self._is_set = True
            event = self._event
        if event is not None:
            event.set()

    def wait(self, timeout: float | None = None) -> bool:
        with _EVENTS:
            if self._is_set:
                return True
            self._event = event = self._event or threading.Event()
        return event.wait(timeout)


class ActiveTask:
    """A task in the process that owns it.

    `record` is a snapshot: reading it needs no lock. Only the thread that runs the task changes it. Any
    thread may call `cancel`.
    """

    def __init__(self, record: TaskRecord, workspace: Workspace, listeners: Sequence[Listener] = ()) -> None:
        self.record = record
        self.workspace = workspace
        self._listeners = tuple(listeners)
        self._lock = threading.Lock()
        self._more_secrets: tuple[str, ...] = ()
        self._cancelled = _Flag()
        self._cancelled_at: float | None = None
        self._has_taken = False
        self._ended = _Flag()
        self.is_saved = False  # whether the record on disk is up to date
        # returns the outcome after a stop on request that replaces the end of the container
        self.replacement: Callable[[], Outcome] | None = None
        self.reused = False  # whether it is a finished task whose result is that of a request
        self.not_reused: tuple[str, ...] = ()  # why no result was reused, if that was asked for

    @classmethod
    def of_result(cls, record: TaskRecord, workspace: Workspace) -> ActiveTask:
        """Return a finished task whose result is reused."""
        found = cls(record, workspace)
        found.reused = found.is_saved = True
        found._ended.set()
        return found

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def short_id(self) -> str:
        return self.record.short_id

    @cached_property
    def masker(self) -> SecretMasker:
        """The masker of the task's secrets. Get it before the task ends, when the secrets are deleted.

        Secrets that are not the task's are added with `mask`.
        """
        has_any = bool(self.record.run_plan.secret_names)
        secrets = store.load(self.workspace.secrets).values() if has_any else ()
        return SecretMasker((*secrets, *self._more_secrets))

    def mask(self, secrets: Iterable[str]) -> None:
        """Mask these values from now on, in the log, the record and the events."""
        self._more_secrets = tuple(secrets)
        self.__dict__.pop("masker", None)

    def create(self, on_saved: Callable[[], None] = _nothing) -> None:
        """Save the first record, and emit its event.

        `on_saved` is called in between: the listeners of an event look the task up.
        """
        self.update(history=[(self.record.state, time.time())])
        self.workspace.create_record(self.record)
        on_saved()
        self._emit_state(task_data=self.record.submitted or {"bundle": self.record.bundle})

    def transition(self, state: TaskState, **changes: Any) -> None:
        """Enter a state: check it, save it with its time, and emit an event.

        A full disk does not stop the task; see `save`. Raises `IllegalTransition` if the state may not
        follow the current one.
        """
        self._check_taken()
        with self._lock:
            states.check_transition(self.record.state, state)
            history = [*self.record.history, (state, time.time())]
            self.record = self.record.replace(**changes, state=state, history=history)
        if state.is_final:
            self.workspace.release_reserve()
            store.delete(self.workspace.secrets)
            input_folder.link_mounted_files(self.workspace, self.record.run_plan.mounts)
            input_folder.remove_copies(self.workspace)
        self.save()
        if state.is_final:
            self._emit_state(message=self.record.message, exit_code=self.record.exit_code)
            self._ended.set()
        else:
            self._emit_state()

    def _emit_state(self, **data: Any) -> None:
        record = self.record
        state = str(record.state)
        self.emit("state", state, state=state, cause=record.cause, assigned_by=record.assigned_by, **data)

    def update(self, **changes: Any) -> None:
        """Change fields other than the state, without saving."""
        with self._lock:
            self.record = self.record.replace(**changes)

    def save(self) -> None:
        """Save the record. If the disk is full, the next call saves it.

        The program may have filled the disk. It must be monitored to its end nevertheless. A task that
        another process has ended is not saved.
        """
        if self._is_taken():
            return
        try:
            self.workspace.save(self.record)
            self.is_saved = True
        except LocalrunError as error:
            self.is_saved = False
            _ignore_if_full(error)

    def emit(self, kind: str, message: str, /, **data: Any) -> None:
        """Send an event to the listeners, and store it unless it is a log or progress."""
        assert kind in KINDS, kind
        event = Event(kind, self.id, message, data)
        if kind not in ("log", "progress"):
            try:
                self.workspace.append_event(event)
            except LocalrunError as error:
                _ignore_if_full(error)
        for listener in self._listeners:
            listener(event)

    def warn(self, message: str, /, **data: Any) -> None:
        """Add a warning to the record and emit it. Thread-safe."""
        message = self.masker.mask_text(message)
        with self._lock:
            self.record = self.record.replace(warnings=[*self.record.warnings, message])
        self.emit("warning", message, **data)

    def warn_once(self, messages: Iterable[str]) -> None:
        """Add the warnings that the record does not have yet, e.g. of an earlier attempt."""
        for message in messages:
            if self.masker.mask_text(message) not in self.record.warnings:
                self.warn(message)

    def warn_of_changed_inputs(self) -> None:
        """Warn of mounted input files that have changed since the task was submitted."""
        for change in input_folder.changed_files(self.record.run_plan):
            self.warn(change)

    def record_timing(self, phase: str, seconds: float) -> None:
        self.update(timings={**self.record.timings, phase: round(seconds, 6)})

    def start_step(self, step: StepName, how: str = "", log: str | None = None) -> None:
        started = StepRecord(name=step, how=how, started=time.time(), log=log)
        self.update(step=step, steps=[*self.record.steps, started])
        self.emit("step", f"{step} started", step=str(step), status="started")

    def finish_step(self, *, failed: bool = False, **changes: Any) -> None:
        """Finish the current step; `changes` go into its record."""
        *earlier, current = self.record.steps
        ended = current.replace(**{"finished": time.time(), **changes})
        self.update(steps=[*earlier, ended])
        name, status = str(ended.name), "failed" if failed else "finished"
        self.emit("step", f"{name} {status}", step=name, status=status, seconds=ended.seconds, how=ended.how)

    def use_retry(self) -> bool:
        """Take a retry of the plan; False if none is left."""
        plan = self.record.run_plan
        if plan.retries < 1:
            return False
        self.update(plan=plan.replace(retries=plan.retries - 1))
        return True

    def start_over(self) -> None:
        """Remove the data and the outputs of a lost container, so the task can run again.

        The events keep the warnings of the lost attempt.
        """
        record = self.record
        self.workspace.usage.unlink(missing_ok=True)
        if any(state is TaskState.RUNNING for state, _ in record.history):
            self.workspace.clear_outputs()
        admitted = next((at for state, at in record.history if state is TaskState.QUEUED), time.time())
        lost = {each.message for each in self.workspace.read_events() if _is_late_warning(each, admitted)}
        kept = [warning for warning in record.warnings if warning not in lost]
        timings = {phase: seconds for phase, seconds in record.timings.items() if phase == "bundle"}
        self.update(steps=[], container=None, usage=None, timings=timings, warnings=kept)

    def cancel(self) -> None:
        """Ask the thread that runs the task to stop it as soon as possible."""
        self._cancelled_at = self._cancelled_at or time.time()
        self._cancelled.set()

    def wait_for_cancel(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for a request to stop; return whether there is one."""
        return self._cancelled.wait(timeout) or self.is_cancelled

    @property
    def is_cancelled(self) -> bool:
        """Whether a stop was requested, by this or another process."""
        return self._cancelled.is_set() or self.workspace.kill_requested

    def was_cancelled_before(self, ended: float | None) -> bool:
        """Return whether a stop was requested before `ended`, a time of this machine (None: unknown)."""
        if not self.is_cancelled or ended is None:
            return self.is_cancelled
        times = [at for at in (self._cancelled_at, self.workspace.kill_requested_at) if at is not None]
        return not times or min(times) <= ended + _CLOCK_ERROR

    def take(self) -> None:
        """Become the process that ends the task although another one owns it, which is suspended."""
        self.workspace.take()
        self._has_taken = True

    def _is_taken(self) -> bool:
        return not self._has_taken and self.workspace.is_taken

    def _check_taken(self) -> None:
        if self._is_taken():
            raise TaskKilled("the task was ended by another process while this one was suspended")

    def adopt_end(self) -> bool:
        """Adopt the end of the task if another process has ended it; return whether it has."""
        record = self.workspace.load_or_none() if self._is_taken() else None
        if record is None or not record.state.is_final:
            return False
        self.record, self.is_saved = record, True
        data = {"state": str(record.state), "message": record.message, "exit_code": record.exit_code}
        event = Event("state", self.id, str(record.state), {**data, "cause": record.cause})
        for listener in self._listeners:
            listener(event)
        self._ended.set()
        return True

    def check_cancelled(self) -> None:
        self._check_taken()
        if self.is_cancelled:
            raise TaskKilled("the task was stopped on request")

    def abandon(self) -> None:
        """Wake all waiters although the task has not ended: this process no longer owns it."""
        self._ended.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the task has ended or is abandoned; False after `timeout` seconds."""
        return self._ended.wait(timeout)


def _is_late_warning(event: Event, since: float) -> bool:
    return event.kind == "warning" and event.time >= since


def _ignore_if_full(error: LocalrunError) -> None:
    if error.cause is not Cause.DISK_FULL:
        raise error
