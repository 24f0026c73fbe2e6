"""The folder of a task. All paths of a task on this machine are defined here.

HOME/
  .gitignore            excludes the folder from git
  tasks/ID/
    task.json           the record; written atomically
    descriptor.yml      the descriptor of the bundle
    inputs/ outputs/    the container's folders; in the former, mounted files are links after the end
    inputs.submitted/   a copy of writable inputs for retries, until the task ends
    logs/task.log       the program's output; task.streams says which part is of which stream, task.times when
                        it arrived
    logs/usage.jsonl    resource usage of the container, one sample a second
    events.jsonl        events of the task
    reserve             reserved space, so that the final record can be saved on a full disk
    secrets.json        secret variables, until the task ends
    iexec_out.zip       the packed result of an iExec app
    kill                exists if a stop was requested
    taken               exists if another process ended the task, because its own process was suspended
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import msgspec

from localrun import fs
from localrun.errors import LocalrunError, TaskNotFound
from localrun.task.events import Event
from localrun.task.record import FORMAT, TaskRecord, short_id
from localrun.undecodable import encode_json


class _Format(msgspec.Struct):
    format: int = 0


def _below(name: str) -> cached_property[Path]:
    return cached_property(lambda workspace: Path(f"{workspace}/{name}"))


class Workspace:
    """The folder of a task."""

    inputs = _below("inputs")  # the container's input folder
    pristine_inputs = _below("inputs.submitted")  # a copy for retries, if the task may write to its inputs
    outputs = _below("outputs")  # the container's output folder
    logs = _below("logs")  # the folder of the log and the usage file
    log = _below("logs/task.log")  # the output of the program
    usage = _below("logs/usage.jsonl")  # the resource usage of the container, one sample a second
    uploads = _below("uploads")  # inputs that were uploaded one by one
    hosts = _below("hosts")  # the hosts file of a container without a network
    descriptor = _below("descriptor.yml")  # the descriptor of the bundle
    secrets = _below("secrets.json")  # the values of secret variables, until the task ends
    packed_result = _below("iexec_out.zip")  # the packed result of an iExec app
    events = _below("events.jsonl")  # the events of the task

    def __init__(self, path: Path | str) -> None:
        self._text = str(path)  # for hot paths: joining paths takes longer than writing files
        self.id = self._text.rpartition("/")[2]

    @property
    def short_id(self) -> str:
        return short_id(self.id)

    @cached_property
    def path(self) -> Path:
        return Path(self._text)

    def __str__(self) -> str:
        return self._text

    def create(self) -> None:
        """Create the folder. Only the user may enter it, so that modes inside can be permissive."""
        os.mkdir(self._text, mode=0o700)  # noqa: PTH102 - hot

    def create_dirs(self, descriptor: bytes = b"") -> None:
        """Create the folders and files that a container needs. Raises `LocalrunError`."""
        with fs.wrap_os_errors(self.path):
            for folder in (self.inputs, self.outputs, self.logs):
                folder.mkdir(exist_ok=True)
            with open(self.descriptor, "wb", opener=fs.private) as stream:
                stream.write(descriptor)
            now = time.time_ns()  # finer than the file system's own clock, which ticks every few milliseconds
            os.utime(f"{self._text}/descriptor.yml", ns=(now, now))
            fs.create_reserve(self.path / "reserve")

    def release_reserve(self) -> None:
        """Delete the reserve file, so that the final record can be saved on a full disk."""
        fs.remove(self.path / "reserve")

    def save_upload(self, name: str, chunks: Iterable[bytes]) -> Path:
        self.uploads.mkdir(exist_ok=True)
        path = self.uploads / name
        with fs.atomic_file(path) as temp:
            with temp.open("wb") as stream:
                stream.writelines(chunks)
            temp.chmod(0o644)
        return path

    def uploaded_files(self) -> dict[str, Path]:
        if not self.uploads.is_dir():
            return {}
        return {path.name: path for path in self.uploads.iterdir() if not path.name.startswith(".")}

    def save(self, record: TaskRecord) -> None:
        """Save the record, atomically. Raises `LocalrunError`, with cause DISK_FULL if the disk is full.

        The record of a manual task keeps its creation time as the file's modification time; see
        `TaskStore.newest_first`.
        """
        modified = record.created if record.kind == "manual" else None
        fs.write_atomic(f"{self._text}/task.json", record.to_json(), modified)

    def create_record(self, record: TaskRecord) -> None:
        """Save the first record. Raises as `save`."""
        fs.write_new(f"{self._text}/task.json", record.to_json())

    def load(self) -> TaskRecord:
        """Return the record. Raises `TaskNotFound` if it is missing or unreadable."""
        try:
            return TaskRecord.from_json(fs.read_regular(f"{self._text}/task.json"))
        except (OSError, ValueError, RecursionError) as error:
            message, remedy = "has no readable record", f"remove it: `localrun rm {self.short_id}`"
            if found := self._newer_format():
                message = f"was written by a newer version of localrun (format {found} of records)"
                remedy = "update localrun"
            raise TaskNotFound(f"task {self.id} {message}", remedy=remedy, id=self.id) from error

    def _newer_format(self) -> int:
        """Return the format of a record that this version cannot read; 0 if it is not a newer one."""
        try:
            found = msgspec.json.decode(fs.read_regular(f"{self._text}/task.json"), type=_Format).format
        except (OSError, ValueError, RecursionError):
            return 0
        return found if found > FORMAT else 0

    def load_or_none(self) -> TaskRecord | None:
        try:
            return self.load()
        except TaskNotFound:
            return None

    def append_event(self, event: Event) -> None:
        """Append an event to the events file, as one line. Raises as `save`."""
        try:
            fs.append_line(f"{self._text}/events.jsonl", encode_json(event) + b"\n")
        except OSError as error:
            raise fs.write_error(self.path, error) from error

    def read_events(self) -> Iterator[Event]:
        """Yield the stored events, oldest first. Incomplete lines are skipped."""
        try:
            lines = fs.read_regular(self.events).splitlines()
        except OSError:
            return
        for line in lines:
            try:
                yield Event(**json.loads(line))
            except (ValueError, TypeError, RecursionError):
                continue

    def request_kill(self) -> None:
        """Ask the process that owns the task to stop it. Raises as `save`."""
        fs.write_atomic(f"{self._text}/kill", f"{time.time()}\n".encode())

    @property
    def kill_requested_at(self) -> float | None:
        """The time when a stop was requested (seconds since 1970), if it was."""
        try:
            return (self.path / "kill").stat().st_mtime
        except OSError:
            return None

    @property
    def kill_requested(self) -> bool:
        return os.path.exists(f"{self._text}/kill")  # noqa: PTH110 - hot

    def take(self) -> None:
        """Tell the process that owns the task that another one ends it. Raises as `save`."""
        fs.write_atomic(f"{self._text}/taken", b"")

    @property
    def is_taken(self) -> bool:
        return os.path.exists(f"{self._text}/taken")  # noqa: PTH110 - hot

    def write_hosts(self) -> Path:
        """Write the hosts file of a container without a network, and return its path. Raises as `save`."""
        with fs.wrap_os_errors(self.path):
            self.hosts.write_text("127.0.0.1\tlocalhost\n::1\tlocalhost\n")
            self.hosts.chmod(0o644)
        return self.hosts

    def make_accessible(self, *, writable_inputs: bool) -> int:
        """Let any user read the inputs and write the outputs; return the number of changed entries.

        Mounted input files of the user are not changed: this folder only has placeholders for them. Links
        are not followed: a task with writable inputs may have created them.
        """
        self.outputs.chmod(0o777)
        count = 1
        file_mode, folder_mode = (0o666, 0o777) if writable_inputs else (0o644, 0o755)
        for folder, _, files in os.walk(self.inputs):
            Path(folder).chmod(folder_mode)
            for name in files:
                path = Path(folder, name)
                if not path.is_symlink():
                    path.chmod(file_mode)
            count += 1 + len(files)
        return count

    def clear_outputs(self) -> None:
        """Delete the outputs. Those of another user that cannot be deleted are kept."""
        with suppress(OSError):
            for path in self.outputs.iterdir():
                fs.remove(path)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the folder from being deleted as that of an old task during the block. Raises `OSError`."""
        descriptor = os.open(self._text, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with fs.locked(descriptor, shared=True):
            yield

    def remove(self) -> None:
        """Delete the folder. Raises `LocalrunError` if a file in it cannot be deleted.

        It is moved away first, so that no half of a task is left in its place if this process dies.
        """
        temp = fs.temp_path(str(self.path.parent.parent / self.id))
        try:
            os.rename(self._text, temp)  # noqa: PTH104 - hot
            shutil.rmtree(temp)
        except FileNotFoundError:
            return
        except OSError as error:
            with suppress(OSError):
                os.rename(temp, self._text)  # noqa: PTH104
            path = str(error.filename).replace(temp, self._text)
            raise LocalrunError(
                f"cannot delete {path}: {error.strerror}",
                remedy="delete it as the user who owns it",
                path=path,
            ) from error
