"""The runs of uploaded tasks: which localrun task belongs to which uploaded task.

A localrun task holds everything else: state, inputs, log and outputs. It has the id of the run. If the run is
provisioned again after it was started, a new localrun task takes its place.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec

from localrun import fs
from localrun.task.frozen import Frozen


class AppEngineRun(Frozen, frozen=True, kw_only=True):
    """A run of an uploaded task. `created` is in seconds since 1970.

    `secret` authorizes the upload of outputs. A deleted run stays readable with `deleted`, its last state.
    `attempts` are the localrun tasks after the first one.
    """

    id: str
    task_id: str
    secret: str
    created: float
    deleted: str | None = None
    attempts: list[str] = msgspec.field(default_factory=list)

    @property
    def localrun_ids(self) -> tuple[str, ...]:
        """The ids of all localrun tasks of the run."""
        return (self.id, *self.attempts)

    @property
    def localrun_id(self) -> str:
        """The id of the localrun task that the run shows."""
        return self.localrun_ids[-1]


class RunStore:
    """The runs below a folder, one file each. Thread-safe; other processes may change the folder as well."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, AppEngineRun] = {}

    def create(self, task_id: str) -> AppEngineRun:
        """Create a run of an uploaded task. Raises `LocalrunError` if it cannot be written."""
        with fs.wrap_os_errors(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._save(
            AppEngineRun(id=str(uuid.uuid4()), task_id=task_id, secret=str(uuid.uuid4()), created=time.time())
        )

    def _save(self, run: AppEngineRun) -> AppEngineRun:
        fs.write_atomic(str(self._path(run.id)), run.to_json())
        self._note(run)
        return run

    def _note(self, run: AppEngineRun) -> None:
        """Keep a deleted run in memory, which does not change any more."""
        if run.deleted:
            with self._lock:
                self._known[run.id] = run

    def get(self, run_id: str) -> AppEngineRun | None:
        """Return a run. `run_id` must be a UUID in lower case."""
        with self._lock:
            known = self._known.get(run_id)
        run = known or self._read(run_id)
        if run is not None and known is None:
            self._note(run)
        return run

    def _read(self, run_id: str) -> AppEngineRun | None:
        try:
            return AppEngineRun.from_json(fs.read_regular(self._path(run_id)))
        except (OSError, ValueError):
            return None

    def all(self) -> list[AppEngineRun]:
        """Return all runs, oldest first."""
        found = (self.get(path.stem) for path in self._folder.glob("[0-9a-f]*.json"))
        return sorted((run for run in found if run is not None), key=lambda run: (run.created, run.id))

    def of_task(self, task_id: str) -> list[AppEngineRun]:
        """Return the runs of an uploaded task, oldest first."""
        return [run for run in self.all() if run.task_id == task_id]

    def mark_deleted(self, run: AppEngineRun, state: str) -> AppEngineRun:
        """Note the state that a run is shown with after its localrun task was deleted."""
        return self._save(run.replace(deleted=state))

    def set_attempts(self, run: AppEngineRun, attempts: Sequence[str]) -> AppEngineRun:
        """Note the localrun tasks after the first one."""
        return self._save(run.replace(attempts=list(attempts)))

    def remove(self, run: AppEngineRun) -> None:
        """Forget a run."""
        with self._lock:
            self._known.pop(run.id, None)
        self._path(run.id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.json"
