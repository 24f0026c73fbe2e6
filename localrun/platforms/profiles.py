"""The differences between bundles and iExec apps: how outputs are collected and what users download."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Protocol

from localrun import values
from localrun.descriptor import Descriptor
from localrun.settings import Settings
from localrun.settings.options import ProfileName
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values import CollectedOutputs


class Profile(Protocol):
    """The rules of one platform."""

    def collect(self, task: ActiveTask, descriptor: Descriptor, *, failed: bool) -> CollectedOutputs:
        """Read and check the outputs; `failed` if the program has failed."""

    def grace_period(self, settings: Settings) -> float:
        """Return the seconds between asking a program to stop and killing it."""

    def deliverables(self, workspace: Workspace, declared: Iterable[str]) -> Iterable[str]:
        """Return the names of the files and folders that a user receives; `declared` are those of outputs."""

    def downloads(self, record: TaskRecord) -> Iterable[str]:
        """Return the names of outputs that can be downloaded one by one."""

    def locate(self, workspace: Workspace, name: str) -> tuple[Path, str]:
        """Return the location of a download: a folder of the task, and a path below it."""


class _BundleProfile:
    """A bundle: the descriptor declares the outputs."""

    def collect(self, task: ActiveTask, descriptor: Descriptor, *, failed: bool) -> CollectedOutputs:  # noqa: ARG002 - collected in both cases
        workspace, record = task.workspace, task.record
        crops = {place: str(workspace.inputs / place) for place in record.crops}
        return values.collect(
            descriptor, workspace.outputs, record.inputs, regions=record.regions, crops=crops
        )

    def grace_period(self, settings: Settings) -> float:
        return settings.grace

    def deliverables(self, workspace: Workspace, declared: Iterable[str]) -> Iterable[str]:  # noqa: ARG002
        return declared

    def downloads(self, record: TaskRecord) -> Iterable[str]:
        return record.outputs

    def locate(self, workspace: Workspace, name: str) -> tuple[Path, str]:
        return workspace.outputs, name


class _IexecProfile:
    """An iExec app: it writes a `computed.json`, and its output folder is packed."""

    def collect(self, task: ActiveTask, descriptor: Descriptor, *, failed: bool) -> CollectedOutputs:  # noqa: ARG002 - apps have none
        from localrun.platforms import iexec
        from localrun.task import log

        if failed:  # as iExec's worker does
            return CollectedOutputs({})
        workspace = task.workspace
        streams = log.tail_by_stream(workspace.log, _ALL)
        warning = next(filter(None, map(iexec.dataset_remedy, streams.values())), "")
        if warning:
            task.warn(warning)
        return iexec.collect(
            workspace.outputs,
            workspace.packed_result,
            callback=task.record.run_plan.callback,
            streams=streams,
            check_cancelled=task.check_cancelled,
        )

    def grace_period(self, settings: Settings) -> float:  # noqa: ARG002 - the worker has none
        return 0.0

    def deliverables(self, workspace: Workspace, declared: Iterable[str]) -> Iterable[str]:  # noqa: ARG002
        return [_OUT, workspace.packed_result.name]

    def downloads(self, record: TaskRecord) -> Iterable[str]:
        return [PurePath(record.outputs["result"]).name] if "result" in record.outputs else []

    def locate(self, workspace: Workspace, name: str) -> tuple[Path, str]:
        if name == workspace.packed_result.name:
            return workspace.path, name
        return workspace.outputs, "" if name == _OUT else name.removeprefix(f"{_OUT}/")


_OUT = "iexec_out"  # the name of the output folder of an app
_ALL = 1 << 62  # characters; the size of a log is already limited
_PROFILES: dict[ProfileName, Profile] = {"bundle": _BundleProfile(), "iexec": _IexecProfile()}


def for_record(record: TaskRecord) -> Profile:
    """Return the rules for a task; a manual task has those of a bundle."""
    return _PROFILES[record.run_plan.profile]
