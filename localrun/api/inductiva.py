"""Inductiva's methods of a task, next to the properties."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localrun.api.handle import TaskHandle
from localrun.task.record import TaskRecord
from localrun.task.states import StepName, TaskState

if TYPE_CHECKING:
    from localrun.values.listing import FileEntry


@dataclass(frozen=True)
class OutputInfo:
    """The files in the output folder of a task: at most 10,000; sizes in bytes."""

    files: list[FileEntry] = field(repr=False)
    n_files: int
    total_size_bytes: int


class InductivaMethods(TaskHandle):
    """A handle with the names of Inductiva's `Task`. `is_running` and the like are properties and methods."""

    def get_status(self) -> TaskState:
        """Return `status`."""
        return self.status

    def get_info(self) -> TaskRecord:
        """Return `info`."""
        return self.info

    def get_position_in_queue(self) -> int | None:
        """Return `position_in_queue`."""
        return self.position_in_queue

    def get_metadata(self) -> dict[str, Any]:
        """Return a copy of `metadata`."""
        return dict(self.metadata)

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace `metadata`. Raises `UsageError` as the property."""
        self.metadata = metadata

    def wait_for_status(self, status: TaskState | str, timeout: float | None = None) -> TaskState:
        """Block as `wait_for`. Unlike Inductiva's method, it returns when the task ends."""
        return self.wait_for(status, timeout)

    def get_computation_time(self) -> float | None:
        """Return the seconds that the program ran, so far for a running task; None if it never started."""
        record = self.info
        step = next((step for step in record.steps if step.name is StepName.TASK), None)
        if step is None or step.started is None:
            return None
        return (step.finished or record.ended or time.time()) - step.started

    def get_total_time(self) -> float:
        """Return the seconds from the submission to the end, or until now."""
        record = self.info
        return (record.ended or time.time()) - record.created

    def get_machine_type(self) -> str | None:
        """Return the name of the machine that the task runs on."""
        owner = self.info.owner
        return owner.host if owner is not None else None

    def get_simulator_name(self) -> str:
        """Return the name of the bundle."""
        return self.info.name

    def get_storage_path(self) -> str:
        """Return the path of the folder with inputs, outputs, log and record."""
        return str(self.folder)

    def get_input_url(self) -> str:
        """Return the URL of the input folder on this machine."""
        return self._workspace.inputs.absolute().as_uri()

    def get_output_url(self) -> str:
        """Return the URL of the output folder on this machine."""
        return self._workspace.outputs.absolute().as_uri()

    def get_output_info(self) -> OutputInfo:
        """Return the files in the output folder, also while the task runs."""
        files = [entry for entry in self.list_files() if entry.kind == "file"]
        return OutputInfo(files, len(files), sum(entry.size for entry in files))

    def last_modified_file(self) -> FileEntry | None:
        """Return the newest file in the output folder; None if there is none."""
        return max(self.get_output_info().files, key=lambda entry: entry.modified, default=None)

    def remove_remote_files(self) -> bool:
        """Delete the task with all its files, as `localrun rm`. Raises `UsageError` if it has not ended."""
        self._app.remove(self.id)
        return True
