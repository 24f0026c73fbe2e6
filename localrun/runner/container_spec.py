"""The container spec of a task, derived from its record and plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from localrun.engines.base import ContainerSpec, Engine, Mount
from localrun.engines.labels import (
    LABEL_HOME,
    LABEL_LEDGER,
    LABEL_OWNER,
    LABEL_STEP,
    LABEL_TASK,
    container_name,
)
from localrun.masking.masker import url_passwords
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
from localrun.task.states import StepName
from localrun.undecodable import is_text


def local_spec(
    record: TaskRecord, *, inputs: Path, outputs: Path, hosts: Path, home: Path, ledger: Path | None = None
) -> ContainerSpec:
    """Return the spec for an engine that can mount this machine's files.

    `home` is the folder of tasks, and `ledger` the reservation file, which a label names.
    """
    plan = record.run_plan
    mounts = [
        Mount(inputs, plan.input_folder, read_only=not plan.writable_inputs),
        *(Mount(Path(source), f"{plan.input_folder.rstrip('/')}/{path}") for source, path in plan.mounts),
        Mount(outputs, plan.output_folder, read_only=False),
        *(Mount(Path(one.source), one.target, read_only=one.read_only) for one in plan.bind_mounts),
    ]
    return _spec(record, home, ledger, mounts=tuple(mounts), hosts_file=None if record.network else hosts)


def remote_spec(record: TaskRecord, *, home: Path, ledger: Path | None = None) -> ContainerSpec:
    """Return the spec for a remote engine, where inputs and outputs are copied as archives."""
    plan = record.run_plan
    return _spec(record, home, ledger, folders=(plan.input_folder, plan.output_folder))


def masked_proxies(engine: Engine, task: ActiveTask) -> Mapping[str, str]:
    """Return docker's proxy variables for a task with a network, and mask their passwords."""
    proxies = engine.proxies() if task.record.network else {}
    if proxies:
        task.mask(url_passwords(proxies.values()))
    return proxies


def with_environment(
    spec: ContainerSpec, proxies: Mapping[str, str], secrets: Mapping[str, str]
) -> ContainerSpec:
    """Return the spec with the variables that are not in the record. The task's own override the proxies."""
    if not proxies and not secrets:
        return spec
    return replace(spec, environment={**proxies, **spec.environment, **secrets})


def _spec(
    record: TaskRecord,
    home: Path,
    ledger: Path | None,
    *,
    mounts: tuple[Mount, ...] = (),
    folders: tuple[str, ...] = (),
    hosts_file: Path | None = None,
) -> ContainerSpec:
    plan = record.run_plan
    return ContainerSpec(
        image=record.image,
        command=None if plan.command is None else tuple(plan.command),
        environment=plan.environment,
        name=container_name(record.id),
        labels=_labels(record, home, ledger),
        mounts=mounts,
        folders=folders,
        cpus=record.resources.cpus,
        memory=record.resources.memory,
        pids=plan.pids,
        gpus=record.resources.gpus,
        network=record.network,
        hardened=plan.hardened,
        hostname=plan.hostname,
        hosts_file=hosts_file,
        platform=plan.platform,
    )


def _labels(record: TaskRecord, home: Path, ledger: Path | None) -> dict[str, str]:
    """Return the labels by which any process can find the container, its task and its owner."""
    owner = record.owner
    labels = {
        LABEL_TASK: record.id,
        LABEL_STEP: str(StepName.TASK),
        LABEL_OWNER: f"{owner.host}:{owner.pid}:{owner.started}" if owner else "",
        # the engine would change bytes that are not UTF-8, which would then name another folder
        LABEL_HOME: str(home) if is_text(str(home)) else "",
    }
    if ledger is not None and is_text(str(ledger)):
        labels[LABEL_LEDGER] = str(ledger.absolute())
    return labels
