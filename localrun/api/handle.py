"""A handle on one task of any process: its state, waiting for it, and its results."""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TextIO

from localrun.api.apps import app_for
from localrun.api.flag import Flag
from localrun.api.interruption import command, explain, explained
from localrun.api.waiting import is_obsolete, wait_until_done
from localrun.errors import LocalrunError, UsageError
from localrun.task import lookup, metadata
from localrun.task.record import TaskRecord, short_id
from localrun.task.selection import parse_state
from localrun.task.states import TaskState

if TYPE_CHECKING:
    from localrun.api.events import TaskEvents
    from localrun.values.listing import FileEntry
    from localrun.values.references import TaskOutput

_POLL_INTERVAL = 0.1  # seconds; there is no portable notification for files of another process


class TaskHandle:
    """The base of `Task`: the state of a task, waiting for it, and its results.

    `reused` is whether the task is an earlier one, whose result was reused by the submission that returned
    this handle, and `not_reused` why it is not, if that was asked for.
    """

    reused = False
    not_reused: tuple[str, ...] = ()

    def __init__(self, task_id: str, home: str | os.PathLike[str] | None = None) -> None:
        self._app = app_for(home)
        self._workspace = lookup.find(self._app.store, task_id)
        self.id = self._workspace.id
        self._lock = threading.Lock()
        self._end: futures.Future[TaskRecord] | None = None

    def __repr__(self) -> str:
        record = self._record_or_none()
        return f"<localrun.Task {short_id(self.id)} {record.state if record else 'deleted'}>"

    def _repr_html_(self) -> str:
        """Return the task in HTML without scripts, for notebooks; 200 KB at most."""
        from localrun.report.page.notebook import task_html

        record = self._record_or_none()
        return "<p>deleted task</p>" if record is None else task_html(record, self._workspace)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskHandle) and self._workspace.path == other._workspace.path

    def __hash__(self) -> int:
        return hash(self._workspace.path)

    # -- state -----------------------------------------------------------------------------

    @property
    def info(self) -> TaskRecord:
        """The current record of the task. Raises `TaskNotFound` if the task was deleted."""
        live = self._app.manager.get_task(self.id)
        return live.record if live is not None else self._workspace.load()

    def _record_or_none(self) -> TaskRecord | None:
        """Return the stored record of the task; None if the task was deleted."""
        return self._workspace.load_or_none()

    @property
    def status(self) -> TaskState:
        """The current state of the task; it equals its name, such as `"RUNNING"`."""
        return self.info.state

    @property
    def is_running(self) -> Flag:
        """Whether its container has started and its outputs are not collected yet."""
        return Flag(self.status is TaskState.RUNNING)

    @property
    def is_terminal(self) -> Flag:
        """Whether the task has ended."""
        return Flag(self.status.is_final)

    @property
    def is_failed(self) -> Flag:
        """Whether the task is FAILED or KILLED (as in Inductiva, a killed task counts as failed)."""
        return Flag(self.status in (TaskState.FAILED, TaskState.KILLED))

    @property
    def position_in_queue(self) -> int | None:
        """The number of tasks on this machine ahead of it in the queue; None if it is not queued."""
        waiting = [entry.task_id for entry in self._app.runner.admission.snapshot().waiting]
        return waiting.index(self.id) if self.id in waiting else None

    @property
    def folder(self) -> Path:
        """The folder of the task, with inputs, outputs, logs and record."""
        return self._workspace.path

    # -- waiting ---------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None, *, show: bool = False) -> TaskState:
        """Block until the task has ended, whichever process owns it. Return its final state.

        `show` prints events and program output, and the reason of a failure, to standard error.

        Ctrl+C stops waiting, not the task. A task whose process has died is resumed by this process. Raises
        `TimeoutError` after `timeout` seconds, `UsageError` for a task that cannot be resumed, and
        `EngineUnreachable`. A failed task does not raise.
        """
        if self.is_terminal:
            return self.status
        with explained(self.left_line):
            end = self.end()
            if show:
                from localrun.api.follow import show_until_done

                show_until_done(self._workspace, end, timeout)
            elif not wait_until_done(end, timeout):
                raise self._timed_out("ended", timeout)
        return self._check_ended(end.result()).state

    def wait_for(self, state: TaskState | str, timeout: float | None = None) -> TaskState:
        """Block until the task has reached `state`, or has ended. Return its current state.

        Raises `UsageError` for an unknown state, and what `wait` raises.
        """
        wanted = parse_state(state)
        deadline = None if timeout is None else time.monotonic() + timeout
        with explained(self.left_line):
            end = self.end()
            while True:
                record = self._check_ended(end.result()) if end.done() else self.info
                if record.state.is_final or wanted in [entered for entered, _ in record.history]:
                    return record.state
                left = _POLL_INTERVAL
                if deadline is not None:
                    left = min(left, deadline - time.monotonic())
                if left <= 0:
                    raise self._timed_out(f"become {wanted}", timeout)
                futures.wait([end], left)

    async def wait_async(self, timeout: float | None = None) -> TaskState:
        """Wait in asyncio until the task has ended. Return its final state.

        Cancelling stops waiting, not the task. Raises as `wait`.
        """
        if self.is_terminal:
            return self.status
        import asyncio

        end = asyncio.wrap_future(self.end())
        done, _ = await asyncio.wait([end], timeout=timeout)  # does not cancel the future
        if not done:
            raise self._timed_out("ended", timeout)
        return self._check_ended(end.result()).state

    def events(self) -> TaskEvents:
        """Return the events of the task until its end, past ones first, for `for` or `async for`.

        Output of the program is an event of the kind `log`. Raises as `wait` at the end.
        """
        from localrun.api.events import TaskEvents

        return TaskEvents(self._workspace, self.end, self.left_line)

    def left_line(self) -> str:
        """Return the line after Ctrl+C. Starts the supervisor if the task needs another process."""
        record = self._record_or_none()
        if record is None or record.state.is_final:
            state = record.state if record is not None else "deleted"
            return f"stopped waiting; task {short_id(self.id)} has ended ({state})"
        self._app.hand_over()
        again = command(self._app.settings.home, "wait", short_id(self.id))
        return f"stopped waiting; task {short_id(self.id)} continues; wait again: `{again}`"

    def end(self) -> futures.Future[TaskRecord]:
        """Return a future of the task's final record, to wait for multiple tasks; see `wait_all`."""
        with self._lock:
            if self._end is None or is_obsolete(self._end):
                self._end = self._start_wait()
            return self._end

    def _start_wait(self) -> futures.Future[TaskRecord]:
        # In a thread, because waiting for the lock of another process has no timeout, and because Ctrl+C,
        # which only the main thread receives, must not interrupt a task that is resumed here.
        future: futures.Future[TaskRecord] = futures.Future()

        def watch() -> None:
            try:
                future.set_result(self._app.wait(self.id))
            except (LocalrunError, OSError) as error:
                future.set_exception(error)
            finally:
                future.cancel()  # after an unexpected exception, so waiters do not block forever

        threading.Thread(target=watch, name=f"wait-{short_id(self.id)}", daemon=True).start()
        return future

    def _check_ended(self, record: TaskRecord) -> TaskRecord:
        if not record.state.is_final:
            raise UsageError(
                f"task {short_id(self.id)} is {record.state}, but no process owns it",
                remedy="start the server that it was submitted to, or submit the task again",
                id=self.id,
            )
        return record

    def _timed_out(self, what: str, timeout: float | None) -> TimeoutError:
        return TimeoutError(
            f"task {short_id(self.id)} has not {what} after {timeout:g} s (it is {self.status})"
        )

    @contextmanager
    def sync_context(self) -> Iterator[Self]:
        """Stop the task if the context is left with an exception, such as Ctrl+C, and re-raise it.

        A second Ctrl+C stops the task immediately. Unlike Inductiva's, this context does not suppress
        `KeyboardInterrupt`.
        """
        try:
            yield self
        except BaseException as error:
            self._stop()
            again = command(self._app.settings.home, "rerun", short_id(self.id))
            explain(error, f"task {short_id(self.id)} was stopped ({self.status}); run it again: `{again}`")
            raise

    def _stop(self) -> None:
        try:
            self.kill()
        except KeyboardInterrupt:
            self.kill(grace=0)

    def kill(self, grace: float | None = None) -> TaskState:
        """Stop the task, whichever process owns it, and wait for it to end. Return its final state.

        The program gets SIGTERM, and SIGKILL after `grace` seconds (None: LOCALRUN_GRACE, or 10). Has no
        effect on a task that has ended. Raises as `wait`.
        """
        if not self.is_terminal:
            with suppress(UsageError):  # it has ended in the meantime
                self._app.kill(self.id, grace)
        return self.wait()

    # -- results ---------------------------------------------------------------------------------

    @property
    def outputs(self) -> dict[str, Any]:
        """The valid outputs by name, as Python values; files are `Path`, datetimes strings.

        A failed task may have some, too. Raises `UsageError` if the task has not ended.
        """
        from localrun.api.outputs import as_python

        return as_python(self._ended_record(), self._workspace)

    def output(self, name: str) -> TaskOutput:
        """Return an output as an input for another task, which waits for it if this task has not ended.

        `name` may be that of an item of an array, e.g. `masks/0`.
        """
        from localrun.values.references import TaskOutput

        return TaskOutput(self.id, name)

    def download_outputs(
        self,
        filenames: Sequence[str] | None = None,
        dest: str | os.PathLike[str] | None = None,
        *,
        in_image: bool = False,
        extensions: bool = False,
    ) -> Path:
        """Copy all outputs, or those in `filenames`, to the folder `dest`. Return the folder.

        `in_image` moves the copies of geometries from a crop back into the whole image. `extensions` names
        them by their content, such as `mask.png`, and writes an array of geometries as one FeatureCollection.

        `dest` None: `localrun_output/ID` in the working directory. Only declared outputs are copied. Links
        are followed as in the container, and only inside the output folder. Raises `UsageError` with every
        unknown name, if the task has not ended, and if the copies cannot be written, and `OutputsError` with
        every output that is not copied.
        """
        from localrun.api.outputs import download

        folder = Path("localrun_output", self.id) if dest is None else Path(dest)
        limit = self._app.settings.disk_stop
        copied = download(
            self._ended_record(),
            self._workspace,
            filenames,
            folder,
            limit,
            in_image=in_image,
            extensions=extensions,
        )
        for warning in copied.warnings:
            warnings.warn(warning, stacklevel=2)
        return copied.folder

    def download_inputs(self, dest: str | os.PathLike[str] | None = None) -> Path:
        """Copy the inputs to the folder `dest`, in App Engine's layout. Return the folder.

        `dest` None: `localrun_input/ID` in the working directory. `submit(bundle, inputs=folder)` reads it.
        Raises `UsageError` with every file that is gone, and if the task has no inputs yet.
        """
        from localrun.api.inputs import download_inputs

        folder = Path("localrun_input", self.id) if dest is None else Path(dest)
        copied = download_inputs(self.info, self._workspace, folder, self._app.settings.disk_stop)
        for warning in copied.warnings:
            warnings.warn(warning, stacklevel=2)
        return copied.folder

    def _ended_record(self) -> TaskRecord:
        record = self.info
        if not record.state.is_final:
            raise UsageError(
                f"task {short_id(self.id)} has not ended ({record.state})", remedy="call `wait()` first"
            )
        return record

    def logs(self, lines: int | None = None) -> str:
        """Return the output of the program so far, or its last `lines` lines."""
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
        """Write the last lines of files in the output folder, or of the log if none is named, to `out`.

        `follow` continues with new data until the task has ended. Raises `UsageError` with every missing
        file; with `follow`, files may appear later.
        """
        from localrun.api.tail import tail

        end = self.end() if follow and not self.is_terminal else None
        container_folder = self.info.run_plan.output_folder
        tail(self._workspace, container_folder, filenames, lines=lines, end=end, out=out or sys.stdout)

    def list_files(self) -> list[FileEntry]:
        """Return the entries of the output folder: path, kind, size in bytes, modification time.

        Works while the task runs. Links are not followed. Returns at most 10,000 entries.
        """
        from localrun.values.listing import list_folder

        return list(list_folder(self._workspace.outputs).entries)

    @property
    def summary(self) -> str:
        """A readable summary: timeline, usage, data sizes, and the reason of a failure."""
        from localrun.console.summary import summary

        return summary(self.info, self._workspace)

    def print_summary(self, out: TextIO | None = None) -> None:
        """Write the summary to `out` (default: standard output)."""
        (out or sys.stdout).write(self.summary)

    # -- metadata --------------------------------------------------------------------------------

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Your own JSON values by key, stored with the task. Assign a mapping to replace all of them."""
        return MappingProxyType(metadata.load(self._workspace))

    @metadata.setter
    def metadata(self, values: Mapping[str, Any]) -> None:
        """Raises `UsageError` with every key that is not a non-empty string, and every other value."""
        metadata.save(self._workspace, values)
