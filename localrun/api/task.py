"""A handle on one task, from any process."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO

from localrun.api.apps import app_for
from localrun.errors import LocalrunError, Problem, UsageError
from localrun.suggestions import did_you_mean
from localrun.task import lookup, metadata
from localrun.task.record import TaskRecord, short_id
from localrun.task.states import TaskState

if TYPE_CHECKING:
    from localrun.values.listing import FileEntry

_LOOK = 0.1  # seconds between two looks at a record that another process writes: it tells us nothing
# Python's threads are not woken by a signal that comes just before they go to sleep: Ctrl+C would be heard
# when the task ends. So nobody sleeps for longer than this, in seconds.
MAX_SLEEP = 0.5


class Task:
    """One task of a folder, named by its id, the beginning of it, or `last`.

    Several handles on one id are one task. Nothing is kept here: every look is at the task as it is, and
    it lives on when the handle, or the process, goes. `home` is the folder; None: LOCALRUN_HOME, or
    `.localrun` here. Raises `TaskNotFound` when there is no such task, or more than one.
    """

    def __init__(self, task_id: str, home: str | os.PathLike[str] | None = None) -> None:
        self._app = app_for(home)
        self._workspace = lookup.find(self._app.store, task_id)
        self.id = self._workspace.id
        self._lock = threading.Lock()
        self._ending: futures.Future[TaskRecord] | None = None

    def __repr__(self) -> str:
        record = self._workspace.load_or_none()
        return f"<localrun.Task {short_id(self.id)} {record.state if record else 'deleted'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self._workspace.path == other._workspace.path

    def __hash__(self) -> int:
        return hash(self._workspace.path)

    # -- where it is -----------------------------------------------------------------------------

    @property
    def info(self) -> TaskRecord:
        """All that is known of the task now. Raises `TaskNotFound` when it was deleted."""
        live = self._app.manager.get_task(self.id)
        return live.record if live is not None else self._workspace.load()

    @property
    def status(self) -> TaskState:
        """The state of the task now; it equals its name, such as `"RUNNING"`."""
        return self.info.state

    @property
    def is_running(self) -> bool:
        """Whether its container has started, and its outputs are not all collected yet."""
        return self.status is TaskState.RUNNING

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.status.is_final

    @property
    def is_failed(self) -> bool:
        """Whether it has ended otherwise than FINISHED (Inductiva: a killed task counts as failed)."""
        return self.status in (TaskState.FAILED, TaskState.KILLED)

    @property
    def position_in_queue(self) -> int | None:
        """How many tasks of this machine are before it in the line; None when it does not wait."""
        waiting = [entry.task_id for entry in self._app.runner.admission.snapshot().waiting]
        return waiting.index(self.id) if self.id in waiting else None

    @property
    def replicas(self) -> list[Task]:
        """Its replicas in their order, each a task of its own; none for a task that runs once."""
        return [Task(record.id, self._app.settings.home) for record in self._app.replicas(self.info)]

    @property
    def folder(self) -> Path:
        """Its folder, with inputs, outputs, logs and record."""
        return self._workspace.path

    # -- waiting ---------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None, *, show: bool = False) -> TaskState:
        """Block until the task has ended, whichever process carries it; the state that it ended in.

        With `show`, what happens and what its program writes is shown on standard error meanwhile, and why
        it failed at the end.

        Ctrl+C ends the waiting, not the task. When the process that carried the task has died, it is
        carried on here. Raises `TimeoutError` after `timeout` seconds, `UsageError` for a task that
        nobody can carry on, and `EngineUnreachable`. A task that failed raises nothing.
        """
        if self.is_terminal:
            return self.status
        end = self.end()
        if show:
            from localrun.api.follow import show_until_done

            show_until_done(self._workspace, end, timeout)
        elif not _done(end, timeout):
            raise self._timed_out("ended", timeout)
        return self._ended(end.result()).state

    def wait_for(self, state: TaskState | str, timeout: float | None = None) -> TaskState:
        """Block until the task has been in a state, or has ended; the state that it is in then.

        Raises `UsageError` for a word that is no state, and what `wait` raises.
        """
        wanted = _state(state)
        deadline = None if timeout is None else time.monotonic() + timeout
        end = self.end()
        while True:
            record = self._ended(end.result()) if end.done() else self.info
            if record.state.is_final or wanted in [entered for entered, _ in record.history]:
                return record.state
            left = _LOOK if deadline is None else min(_LOOK, deadline - time.monotonic())
            if left <= 0:
                raise self._timed_out(f"become {wanted}", timeout)
            futures.wait([end], left)

    def end(self) -> futures.Future[TaskRecord]:
        """The end of the task, for waiting for several; see `wait_all`."""
        with self._lock:
            if self._ending is None or _in_vain(self._ending):
                self._ending = self._watched()
            return self._ending

    def _watched(self) -> futures.Future[TaskRecord]:
        # A thread: waiting for another process is waiting for a lock, which knows no time limit, and what
        # is carried on here must not be torn by Ctrl+C, which only the main thread gets.
        ending: futures.Future[TaskRecord] = futures.Future()

        def watch() -> None:
            try:
                ending.set_result(self._app.wait(self.id))
            except (LocalrunError, OSError) as error:
                ending.set_exception(error)
            finally:
                ending.cancel()  # if it met a bug: whoever waits must not wait for ever

        threading.Thread(target=watch, name=f"wait-{short_id(self.id)}", daemon=True).start()
        return ending

    def _ended(self, record: TaskRecord) -> TaskRecord:
        if not record.state.is_final:
            raise UsageError(
                f"the task {short_id(self.id)} is {record.state}, and no process carries it",
                remedy="start the server that it was submitted to, or submit it again",
                id=self.id,
            )
        return record

    def _timed_out(self, what: str, timeout: float | None) -> TimeoutError:
        return TimeoutError(
            f"the task {short_id(self.id)} has not {what} after {timeout:g} s (it is {self.status})"
        )

    @contextmanager
    def sync_context(self) -> Iterator[Task]:
        """Within it, Ctrl+C and any other exception stop the task, and go on their way then.

        A second Ctrl+C stops it at once. (Inductiva lets Ctrl+C end here; a script that goes on as if
        nothing had happened surprises more than one that ends.)
        """
        try:
            yield self
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        try:
            self.kill()
        except KeyboardInterrupt:
            self.kill(grace=0)

    def kill(self, grace: float | None = None) -> TaskState:
        """Stop the task, whichever process carries it, and wait for its end; the state that it ended in.

        Its program gets SIGTERM, and SIGKILL after `grace` seconds (None: LOCALRUN_GRACE, or 10).
        Nothing happens to a task that has ended. Raises as `wait`.
        """
        if not self.is_terminal:
            self._app.manager.kill_task(self.id, grace)
            self._app.runner.admission.wake(self.id)
        return self.wait()

    # -- what it gave ----------------------------------------------------------------------------

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs that fit the descriptor, by name: values of Python, files as `Path`.

        Those of a failed task too. Datetimes are texts, as they were written. Raises `UsageError` while
        the task has not ended.
        """
        from localrun.api.outputs import as_python

        return as_python(self._end_record(), self._workspace)

    def download_outputs(
        self, filenames: Sequence[str] | None = None, dest: str | os.PathLike[str] | None = None
    ) -> Path:
        """Copy outputs, all or the named ones, to the folder `dest`; the folder.

        None: `localrun_output/ID` here. Only what the descriptor declares is copied, and no link is
        followed out of the task's folder. Raises `UsageError` with every name that is not there, and
        when the task has not ended.
        """
        from localrun.api.outputs import download

        folder = Path("localrun_output", self.id) if dest is None else Path(dest)
        return download(self._end_record(), self._workspace, filenames, folder)

    def _end_record(self) -> TaskRecord:
        record = self.info
        if not record.state.is_final:
            raise UsageError(
                f"the task {short_id(self.id)} has not ended ({record.state})", remedy="call its wait() first"
            )
        return record

    def logs(self, lines: int | None = None) -> str:
        """What its program wrote so far, or the last lines of it."""
        from localrun.api.tail import last_lines

        try:
            text = self._workspace.log.read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return text if lines is None else last_lines(text, lines)

    def tail_files(
        self,
        filenames: Sequence[str] = (),
        lines: int = 10,
        *,
        follow: bool = False,
        out: TextIO | None = None,
    ) -> None:
        """Write the last lines of files in its output folder to `out`; none named: of what it wrote.

        With `follow` also what is added to them, until the task has ended. Works while it runs and after.
        Raises `UsageError` with every name that is not there; with `follow` they may come until the end.
        """
        from localrun.api.tail import tail

        end = self.end() if follow and not self.is_terminal else None
        plan = self.info.plan
        inside = plan.output_folder if plan else "/"
        tail(self._workspace, inside, filenames, lines=lines, end=end, out=out or sys.stdout)

    def list_files(self) -> list[FileEntry]:
        """What is in its output folder, also while it writes: path, kind, size in bytes, time of writing.

        Links, pipes and devices are told as what they are. Ends after 10,000 entries.
        """
        from localrun.values.listing import list_folder

        return list(list_folder(self._workspace.outputs).entries)

    @property
    def summary(self) -> str:
        """Where its time went, what it left, and why it ended, for people."""
        from localrun.console.summary import summary

        return summary(self.info, self._workspace)

    def print_summary(self, out: TextIO | None = None) -> None:
        """Write the summary to `out`, by default the standard output."""
        (out or sys.stdout).write(self.summary)

    # -- notes -----------------------------------------------------------------------------------

    @property
    def metadata(self) -> Mapping[str, str]:
        """Notes of yours, kept with the task: texts by names. Assign a new mapping to change them."""
        return MappingProxyType(metadata.load(self._workspace))

    @metadata.setter
    def metadata(self, notes: Mapping[str, str]) -> None:
        """Raises `UsageError` with everything that is no text, or an empty one."""
        metadata.save(self._workspace, notes)


def _done(end: futures.Future[TaskRecord], timeout: float | None) -> bool:
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    while not end.done():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        futures.wait([end], min(MAX_SLEEP, left))
    return True


def _in_vain(ending: futures.Future[TaskRecord]) -> bool:
    """Whether the waiting is over, and the task is not: the next one may see its end."""
    if not ending.done():
        return False
    return ending.cancelled() or ending.exception() is not None or not ending.result().state.is_final


def _state(word: TaskState | str) -> TaskState:
    try:
        return TaskState(word)
    except ValueError:
        names = [str(state) for state in TaskState]
        remedy = did_you_mean(str(word), names) or f"the states are {', '.join(names)}"
        problem = Problem("state", f"{word!r} is no state of a task", remedy)
        raise UsageError("there is no such state", remedy=remedy, problems=[problem]) from None
