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
import shutil
import time
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import msgspec

from localrun import fs
from localrun.errors import LocalrunError, TaskNotFound
from localrun.task.events import Event
from localrun.task.record import TaskRecord, short_id

_encode = msgspec.json.Encoder(enc_hook=str).encode


class Workspace:
    """One task's folder."""

    def __init__(self, path: Path | str) -> None:
        self._text = str(path)  # for what every task does: joining paths costs more than writing files
        self.id = self._text.rpartition("/")[2]

    @property
    def short_id(self) -> str:
        """The start of the task's id, as it is shown to users."""
        return short_id(self.id)

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
        path = self.uploads / name
        with fs.atomic_file(path) as temp:
            with temp.open("wb") as stream:
                stream.writelines(chunks)
            temp.chmod(0o644)
        return path

    def uploaded_files(self) -> dict[str, Path]:
        """The inputs that were sent, by name."""
        if not self.uploads.is_dir():
            return {}
        return {path.name: path for path in self.uploads.iterdir() if not path.name.startswith(".")}

    def save(self, record: TaskRecord) -> None:
        """Write the record; a reader sees the old one or the new one, never a part.

        Raises `LocalrunError`, with cause DISK_FULL when there is no room.
        """
        made = record.created_at if record.kind == "manual" else None
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
                remedy=f"remove it with `localrun rm {self.short_id}`",
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
