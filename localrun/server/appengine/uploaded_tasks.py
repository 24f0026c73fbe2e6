"""The tasks that were uploaded: each is a folder with its bundle, its descriptor and its logo.

A folder appears with its whole content, so an upload that is interrupted leaves no task.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from localrun import descriptor as descriptors
from localrun import fs
from localrun.descriptor import Descriptor
from localrun.errors import DescriptorError
from localrun.server import temp_folders
from localrun.task.frozen import Frozen

BUNDLE, DESCRIPTOR, LOGO, _FACTS = "bundle.zip", "descriptor.yml", "logo.png", "task.json"
_UPLOAD = "upload"


class UploadedTask(msgspec.Struct, frozen=True):
    """A task of App Engine's API: a bundle with an id. `created` is in seconds since 1970."""

    id: str
    folder: Path
    descriptor: Descriptor
    created: float

    @property
    def key(self) -> tuple[str, str]:
        """The namespace and the version, which are unique."""
        return self.descriptor.namespace, self.descriptor.version

    @property
    def bundle(self) -> Path:
        return self.folder / BUNDLE

    @property
    def logo(self) -> Path:
        """The path of the logo, which may not exist."""
        return self.folder / LOGO

    def parameter_id(self, path: str) -> str:
        """Return the id of a parameter such as `inputs/a`, which is always the same."""
        return str(uuid.uuid5(uuid.UUID(self.id), path))


class _Facts(Frozen, frozen=True, kw_only=True):
    """What is stored about a task next to its files."""

    created: float


class DuplicateTask(Exception):
    """There is a task with the same namespace and version."""


class UploadedTasks:
    """The uploaded tasks below a folder. Thread-safe; other processes may change the folder as well."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, UploadedTask] = {}

    def start(self) -> None:
        """Delete the partial uploads of dead processes."""
        if self._folder.is_dir():
            temp_folders.remove_abandoned(self._folder, _UPLOAD)

    def all(self) -> list[UploadedTask]:
        """Return all tasks, oldest first."""
        with self._lock:
            names = {path.name for path in self._paths()}
            for name in self._known.keys() - names:
                del self._known[name]
            for name in names - self._known.keys():
                found = _read(self._folder / name)
                if found is not None:
                    self._known[name] = found
            return sorted(self._known.values(), key=lambda task: (task.created, task.id))

    def _paths(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            return []

    def get(self, task_id: str) -> UploadedTask | None:
        return next((task for task in self.all() if task.id == task_id), None)

    def find(self, namespace: str, version: str) -> UploadedTask | None:
        """Return the task of a namespace and version, which are compared letter by letter."""
        return next((task for task in self.all() if task.key == (namespace, version)), None)

    @contextmanager
    def receiving(self) -> Iterator[Path]:
        """Yield a folder for an upload, which is deleted afterwards unless `add` has taken it."""
        with fs.wrap_os_errors(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with temp_folders.locked(self._folder, _UPLOAD) as folder:
            yield folder

    def add(self, received: Path, found: Descriptor) -> UploadedTask:
        """Make a task of a folder of `receiving`, which holds the bundle.

        Raises `DuplicateTask`, and `LocalrunError` if the disk is full.
        """
        task_id, created = str(uuid.uuid4()), time.time()
        fs.write_new(f"{received}/{DESCRIPTOR}", found.source)
        fs.write_new(f"{received}/{_FACTS}", _Facts(created=created).to_json())
        target = self._folder / task_id
        with fs.wrap_os_errors(self._folder), temp_folders.exclusive(self._folder):
            if self.find(found.namespace, found.version) is not None:
                raise DuplicateTask
            received.rename(target)
        task = UploadedTask(task_id, target, found, created)
        with self._lock:
            self._known[task_id] = task
        return task

    def remove(self, task: UploadedTask) -> None:
        """Delete a task. It is gone at once, also if the process dies in between."""
        with fs.wrap_os_errors(self._folder), fs.temp_file(self._folder / _UPLOAD) as removed:
            task.folder.rename(removed)
        with self._lock:
            self._known.pop(task.id, None)


def _read(folder: Path) -> UploadedTask | None:
    try:
        facts = _Facts.from_json(fs.read_regular(folder / _FACTS))
        found = descriptors.read(fs.read_regular(folder / DESCRIPTOR))
        return UploadedTask(str(uuid.UUID(folder.name)), folder, found, facts.created)
    except (OSError, ValueError, DescriptorError):
        return None
