"""Where tasks live on disk: the only owner of host paths.

HOME/
  .gitignore            keeps all of it out of git
  tasks/ID/
    task.json           the record, always whole
    descriptor.yml      as the bundle had it
    inputs/ outputs/    what the container sees
    logs/task.log       what the program wrote; task.streams says which part to which stream
    logs/usage.jsonl    what its container used, second by second
    events.jsonl        what happened
    reserve             room for the end of the record, should the disk be full by then
    secrets.json        secret variables, until the end; iexec_out.zip  the packed result of an iExec app
    kill                there when somebody asked for the task to be stopped
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import msgspec

from localrun import fs
from localrun.errors import LocalrunError, TaskExists, TaskNotFound, UsageError
from localrun.task.events import Event
from localrun.task.lock import TaskLock, acquire, publish, wait_released
from localrun.task.record import TaskRecord

LAST = "last"
_encode = msgspec.json.Encoder(enc_hook=str).encode
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Workspace:
    """One task's folder."""

    def __init__(self, path: Path | str) -> None:
        self._text = str(path)  # for what every task does: joining paths costs more than writing files
        self.id = self._text.rpartition("/")[2]

    @cached_property
    def path(self) -> Path:
        """The folder."""
        return Path(self._text)

    def __str__(self) -> str:
        return self._text

    @cached_property
    def inputs(self) -> Path:
        """What the container reads."""
        return self.path / "inputs"

    @cached_property
    def outputs(self) -> Path:
        """What the container writes."""
        return self.path / "outputs"

    @cached_property
    def logs(self) -> Path:
        """What was written of the run."""
        return self.path / "logs"

    @cached_property
    def log(self) -> Path:
        """What the program wrote."""
        return self.logs / "task.log"

    @property
    def usage(self) -> Path:
        """What its container used, second by second."""
        return self.logs / "usage.jsonl"

    @cached_property
    def uploads(self) -> Path:
        """Inputs that were sent one by one, until all are there."""
        return self.path / "uploads"

    @cached_property
    def hosts(self) -> Path:
        """The hosts file of a container without a network."""
        return self.path / "hosts"

    @cached_property
    def descriptor(self) -> Path:
        """The descriptor, as the bundle had it."""
        return self.path / "descriptor.yml"

    @cached_property
    def secrets(self) -> Path:
        """The values of secret variables, until the end."""
        return self.path / "secrets.json"

    @cached_property
    def packed_result(self) -> Path:
        """The packed result of an iExec app."""
        return self.path / "iexec_out.zip"

    @property
    def events(self) -> Path:
        """What happened."""
        return self.path / "events.jsonl"

    def create(self) -> None:
        """Make the task's folder; only the user may enter, so that the modes inside need not be narrow."""
        os.mkdir(self._text, mode=0o700)  # noqa: PTH102 - hot

    def create_dirs(self, descriptor: bytes = b"") -> None:
        """Make what a task with a container needs. Raises `LocalrunError`, also when the disk is full."""
        with fs.wrap_os_errors(self.path):
            for folder in (self.inputs, self.outputs, self.logs):
                folder.mkdir(exist_ok=True)
            self.descriptor.write_bytes(descriptor)
            made = time.time_ns()  # the file system's own clock ticks a few times in ten milliseconds
            os.utime(f"{self._text}/descriptor.yml", ns=(made, made))
            fs.create_reserve(self.path / "reserve")

    def release_reserve(self) -> None:
        """Make room for what is still to be written: the program, which may have filled the disk, is over."""
        fs.release_reserve(self.path / "reserve")

    def save_upload(self, name: str, chunks: Iterable[bytes]) -> Path:
        """Keep an input that was sent; a reader sees all of it or nothing."""
        self.uploads.mkdir(exist_ok=True)
        beside = self.uploads / f".{name}.{uuid.uuid4().hex}"
        try:
            with beside.open("wb") as stream:
                stream.writelines(chunks)
            beside.chmod(0o644)
            return beside.replace(self.uploads / name)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise

    def uploaded_files(self) -> dict[str, Path]:
        """The inputs that were sent, by name."""
        if not self.uploads.is_dir():
            return {}
        return {path.name: path for path in self.uploads.iterdir() if not path.name.startswith(".")}

    def save(self, record: TaskRecord) -> None:
        """Write the record; a reader sees the old one or the new one, never a part.

        Raises `LocalrunError`, with cause DISK_FULL when there is no room.
        """
        made = None if record.plan else record.created_at
        fs.write_atomic(f"{self._text}/task.json", record.to_json(), made)

    def create_record(self, record: TaskRecord) -> None:
        """Write the first record; a reader who comes too early finds none. Raises as `save`."""
        fs.write_new(f"{self._text}/task.json", record.to_json())

    def load(self) -> TaskRecord:
        """Read the record. Raises `TaskNotFound` when it is gone or was never written."""
        try:
            return TaskRecord.from_json((self.path / "task.json").read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise TaskNotFound(
                f"the task {self.id} has no readable record",
                remedy=f"remove it with `localrun rm {self.id[:8]}`",
                id=self.id,
            ) from error

    def load_or_none(self) -> TaskRecord | None:
        """The record, or None when it cannot be read."""
        try:
            return self.load()
        except TaskNotFound:
            return None

    def append_event(self, event: Event) -> None:
        """Add an event to the task's own history, as one whole line. Raises as `save`."""
        try:
            fs.append_line(f"{self._text}/events.jsonl", _encode(event) + b"\n")
        except OSError as error:
            raise fs.write_error(self.path, error) from error

    def read_events(self) -> Iterator[Event]:
        """What was appended, the oldest first. A line that was torn is left out."""
        try:
            lines = self.events.read_bytes().splitlines()
        except OSError:
            return
        for line in lines:
            try:
                yield Event(**json.loads(line))
            except (ValueError, TypeError, RecursionError):
                continue

    def request_kill(self) -> None:
        """Ask whoever carries the task to stop it; that may be another process. Raises as `save`."""
        fs.write_atomic(f"{self._text}/kill", f"{time.time()}\n".encode())

    @property
    def kill_requested_at(self) -> float | None:
        """When somebody asked for the task to be stopped (seconds since 1970); see `kill_requested`."""
        try:
            return (self.path / "kill").stat().st_mtime
        except OSError:
            return None

    @property
    def kill_requested(self) -> bool:
        """Whether somebody asked for the task to be stopped."""
        return os.path.exists(f"{self._text}/kill")  # noqa: PTH110 - asked at every step of a task

    def write_hosts(self) -> Path:
        """A hosts file for containers without a network, which the engine gives none. Raises as `save`."""
        with fs.wrap_os_errors(self.path):
            self.hosts.write_text("127.0.0.1\tlocalhost\n::1\tlocalhost\n")
            self.hosts.chmod(0o644)
        return self.hosts

    def make_accessible(self, *, writable_inputs: bool) -> int:
        """Let any user read the inputs and write the outputs; the number of entries that were set.

        Only what lies in this folder is touched: a user's own file is mounted over its place here.
        """
        self.outputs.chmod(0o777)
        count = 1
        file_mode, folder_mode = (0o666, 0o777) if writable_inputs else (0o644, 0o755)
        for folder, _, files in os.walk(self.inputs):
            Path(folder).chmod(folder_mode)
            for name in files:
                Path(folder, name).chmod(file_mode)
            count += 1 + len(files)
        return count

    def remove(self) -> None:
        """Delete the folder. Raises `LocalrunError` when something in it cannot be deleted."""
        try:
            shutil.rmtree(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LocalrunError(
                f"{error.filename} cannot be deleted: {error.strerror}",
                remedy="delete it as the user who owns it",
                path=str(error.filename),
            ) from error


class TaskStore:
    """The folder of a project's tasks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tasks = path / "tasks"
        self._text = str(self.tasks)
        self._active = path / "active"

    def create(self, task_id: str | None = None) -> Workspace:
        """Make the folder of a new task. Raises `LocalrunError` when it cannot be written.

        Raises `UsageError` for an id that could be mistaken, and `TaskExists` for one that is taken.
        """
        if task_id is not None and (not _ID.fullmatch(task_id) or task_id == LAST):
            raise UsageError(
                f"{task_id!r} is no id of a task", remedy="use letters, digits, - and _, at most 64"
            )
        workspace = Workspace(f"{self._text}/{task_id or uuid.uuid4()}")
        try:
            self._make(workspace)
        except FileExistsError as error:
            if not workspace.path.is_dir():
                raise fs.write_error(self.path, error) from error
            raise TaskExists(f"there is a task {task_id} already", remedy="choose another id") from error
        except OSError as error:
            raise fs.write_error(self.path, error) from error
        return workspace

    def _make(self, workspace: Workspace) -> None:
        try:
            workspace.create()
        except FileNotFoundError:  # the first task of all
            self._prepare()
            workspace.create()

    def _prepare(self) -> None:
        # the folder that is looked for comes last: whoever sees it finds the others
        self._active.mkdir(parents=True, exist_ok=True)
        (self.path / ".gitignore").write_text("*\n")
        self.tasks.mkdir(exist_ok=True)

    def open(self, task_id: str) -> Workspace:
        """The folder of a task by its whole id."""
        return Workspace(self.tasks / task_id)

    def find(self, task_id: str) -> Workspace | None:
        """The folder of a task by its whole id, if there is one. Safe for ids from anywhere."""
        if not _ID.fullmatch(task_id) or not os.path.isdir(f"{self._text}/{task_id}"):  # noqa: PTH112 - hot
            return None
        return self.open(task_id)

    def acquire(self, task_id: str, *, new: bool = False) -> TaskLock | None:
        """Become the carrier of a task that has not ended; None when somebody is, or it has ended.

        Raises `LocalrunError` when a new one cannot be written down.
        """
        with fs.wrap_os_errors(self.path):
            return acquire(self._active / task_id, new=new)

    def publish(self, workspace: Workspace) -> None:
        """Let any process claim a new task, which nobody carries. Raises as `claim`."""
        with fs.wrap_os_errors(self.path):
            publish(f"{self._active}/{workspace.id}", f"{workspace}/events.jsonl")

    def is_active(self, task_id: str) -> bool:
        """Whether the task has not ended."""
        return os.path.exists(f"{self._active}/{task_id}")  # noqa: PTH110 - hot

    def wait_released(self, task_id: str) -> None:
        """Block until nobody carries the task (any more): it has ended, or its carrier died."""
        wait_released(self._active / task_id)

    def active_ids(self) -> list[str]:
        """The ids of the tasks that have not ended, in no order."""
        try:
            return os.listdir(self._active)  # noqa: PTH208 - names
        except FileNotFoundError:
            return []

    @property
    def is_own(self) -> bool:
        """Whether the folder is there and the user's own."""
        try:
            return self.path.stat().st_uid == os.geteuid()
        except OSError:
            return False

    def is_missing(self, task_id: str) -> bool:
        """Whether the user's own folder has no such task (any more)."""
        return self.is_own and not (self.tasks / task_id).exists()

    def is_finished(self, task_id: str) -> bool:
        """Whether the task of the user's own folder has come to its end."""
        record = self.open(task_id).load_or_none() if self.is_own else None
        return record is not None and record.state.is_final

    def remove(self, workspace: Workspace, claim: TaskLock | None = None) -> None:
        """Remove a task's folder and every trace of it."""
        workspace.remove()
        (self._active / workspace.id).unlink(missing_ok=True)
        if claim is not None:
            claim.release(ended=True)

    def newest_first(self) -> Iterator[Workspace]:
        """Every task's folder, the newest first; records are not read."""
        try:
            with os.scandir(self.tasks) as entries:
                found = sorted(((_made(entry), entry.name) for entry in entries), reverse=True)
        except FileNotFoundError:
            return
        yield from (self.open(name) for _, name in found)


def _made(entry: os.DirEntry[str]) -> int:
    # the descriptor is written once, when the task is made; the folder itself changes with every state.
    # What has none, has a record that says the time of its making; see `save`
    for name in ("descriptor.yml", "task.json"):
        try:
            return os.stat(f"{entry.path}/{name}").st_mtime_ns  # noqa: PTH116 - hot
        except OSError:
            continue
    return 0
