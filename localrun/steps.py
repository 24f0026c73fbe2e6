"""What each step of a task must do: pure, from the task's record and plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from localrun.engines.base import LABEL, ContainerSpec, Mount
from localrun.record import TaskRecord
from localrun.states import StepName

LABEL_TASK = f"{LABEL}.task"
LABEL_STEP = f"{LABEL}.step"
LABEL_OWNER = f"{LABEL}.owner"
LABEL_HOME = f"{LABEL}.home"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run needs beside its record.

    `mounts` are a user's own files: (file, place below the input folder). Folders are paths in the
    container.
    """

    input_folder: str
    output_folder: str
    mounts: tuple[tuple[Path, str], ...] = ()
    writable_inputs: bool = False
    hardened: bool = False
    pids: int = 4096


def container(
    record: TaskRecord, plan: Plan, *, inputs: Path, outputs: Path, hosts: Path, home: Path
) -> ContainerSpec:
    """The task's container, on an engine that sees our files."""
    places = [
        Mount(inputs, plan.input_folder, read_only=not plan.writable_inputs),
        *(Mount(source, f"{plan.input_folder.rstrip('/')}/{place}") for source, place in plan.mounts),
        Mount(outputs, plan.output_folder, read_only=False),
    ]
    return _spec(record, plan, home, mounts=tuple(places), hosts_file=None if record.network else hosts)


def remote_container(record: TaskRecord, plan: Plan, *, home: Path) -> ContainerSpec:
    """The task's container, on an engine whose files are not ours: inputs and outputs travel as archives."""
    return _spec(record, plan, home, folders=(plan.input_folder, plan.output_folder))


def _spec(
    record: TaskRecord,
    plan: Plan,
    home: Path,
    *,
    mounts: tuple[Mount, ...] = (),
    folders: tuple[str, ...] = (),
    hosts_file: Path | None = None,
) -> ContainerSpec:
    return ContainerSpec(
        image=record.image,
        name=f"localrun-{record.id}",
        labels=labels(record, StepName.TASK, home),
        mounts=mounts,
        folders=folders,
        cpus=record.resources.cpus,
        memory=record.resources.memory,
        pids=plan.pids,
        gpus=record.resources.gpus,
        network=record.network,
        hardened=plan.hardened,
        hosts_file=hosts_file,
    )


def labels(record: TaskRecord, step: StepName, home: Path) -> dict[str, str]:
    """What a container of ours says of itself: any process can find it, and find out whose it is."""
    owner = record.owner
    return {
        LABEL_TASK: record.id,
        LABEL_STEP: str(step),
        LABEL_OWNER: f"{owner.host}:{owner.pid}:{owner.started}" if owner else "",
        LABEL_HOME: str(home),
    }
