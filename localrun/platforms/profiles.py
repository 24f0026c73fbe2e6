"""What is different between the platforms whose tasks are run: what must be left, and what a user gets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Protocol

from localrun import values
from localrun.descriptor import Descriptor
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.record import ProfileName, TaskRecord
from localrun.task.workspace import Workspace
from localrun.values import CollectedOutputs


class Profile(Protocol):
    """The rules of one platform."""

    def collect(self, task: ActiveTask, descriptor: Descriptor, *, failed: bool) -> CollectedOutputs:
        """Read and check what the program has left; `failed`: it did not end well."""

    def grace_period(self, settings: Settings) -> float:
        """Seconds that a program has to end by itself when its time is up."""

    def deliverables(self, workspace: Workspace, declared: Iterable[str]) -> dict[str, Path]:
        """What a user gets: files and folders of the task by name; `declared` names outputs."""

    def downloads(self, record: TaskRecord) -> Iterable[str]:
        """The names of what can be fetched by itself."""

    def locate(self, workspace: Workspace, name: str) -> tuple[Path, str]:
        """Where such a file is: a folder of the task, and its path below that."""


class _OfBundle:
    """A bundle: the descriptor says what each output is."""

    def collect(self, task: ActiveTask, descriptor: Descriptor, *, failed: bool) -> CollectedOutputs:  # noqa: ARG002 - also then
        return values.collect(descriptor, task.workspace.outputs, task.record.inputs)

    def grace_period(self, settings: Settings) -> float:
        return settings.grace

    def deliverables(self, workspace: Workspace, declared: Iterable[str]) -> dict[str, Path]:
        return {name: workspace.outputs / name for name in declared}

    def downloads(self, record: TaskRecord) -> Iterable[str]:
        return record.outputs

    def locate(self, workspace: Workspace, name: str) -> tuple[Path, str]:
        return workspace.outputs, name


class _OfIexec:
    """An iExec app: it leaves a `computed.json`, and its folder is packed."""

    def collect(self, task: ActiveTask, descriptor: Descriptor, *, failed: bool) -> CollectedOutputs:  # noqa: ARG002 - there is none
        from localrun.platforms import iexec
        from localrun.task import log

        if failed:  # the worker looks no further then
            return CollectedOutputs({})
        place = task.workspace
        return iexec.collect(
            place.outputs,
            place.packed_result,
            callback=task.record.run_plan.callback,
            streams=log.tail_by_stream(place.log, _ALL),
            check_cancelled=task.check_cancelled,
        )

    def grace_period(self, settings: Settings) -> float:  # noqa: ARG002 - the worker gives none
        return 0.0

    def deliverables(self, workspace: Workspace, declared: Iterable[str]) -> dict[str, Path]:  # noqa: ARG002
        return {"iexec_out": workspace.outputs, workspace.packed_result.name: workspace.packed_result}

    def downloads(self, record: TaskRecord) -> Iterable[str]:
        return [PurePath(record.outputs["result"]).name] if "result" in record.outputs else []

    def locate(self, workspace: Workspace, name: str) -> tuple[Path, str]:
        if name == workspace.packed_result.name:
            return workspace.path, name
        return workspace.outputs, name.removeprefix("iexec_out/")


_ALL = 1 << 62  # characters: a log is bounded already
_PROFILES: dict[ProfileName, Profile] = {"bundle": _OfBundle(), "iexec": _OfIexec()}


def for_record(record: TaskRecord) -> Profile:
    """Return the rules for a task; a manual task has those of a bundle."""
    return _PROFILES[record.run_plan.profile]
