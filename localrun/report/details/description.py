"""The content of `localrun describe`: containers, conditions, volumes and events, with Kubernetes' terms.

On App Engine a run is a pod of three containers. Here the host does the steps before and after the task's
container, so these have no image, limits or environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from localrun.console import ownership
from localrun.console.regions import region_rows
from localrun.console.usage import format_usage
from localrun.engines.base import ContainerSpec
from localrun.errors import Cause
from localrun.masking.redaction import Redactor
from localrun.report.details.docker_command import docker_command
from localrun.report.details.event_rows import REASONS, event_rows
from localrun.runner import container_spec
from localrun.task import metadata
from localrun.task.record import StepRecord, TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.task.workspace import Workspace

Fields = dict[str, Any]

_PHASES = {  # of a pod; Pending in all other states
    TaskState.RUNNING: "Running",
    TaskState.FINISHED: "Succeeded",
    TaskState.FAILED: "Failed",
    TaskState.KILLED: "Failed",
}
_WAITING = {  # why a step has not started, by the state of its task
    TaskState.QUEUING: "Unschedulable",
    TaskState.QUEUED: "PodInitializing",
    TaskState.PENDING: "ContainerCreating",
    TaskState.RUNNING: "PodInitializing",
}


def describe(
    record: TaskRecord, workspace: Workspace, now: float, replicas: Sequence[TaskRecord] = ()
) -> Fields:
    """Return the described task as JSON-ready fields. `now` is in seconds since 1970; secrets are masked."""
    redactor = Redactor()
    return {
        "id": record.id,
        "name": record.name,
        "bundle": record.bundle,
        "namespace": str(workspace.path.parent.parent),
        "node": record.owner.host if record.owner else None,
        "owner": {**ownership.as_fields(record), "process": ownership.owner_text(record) or None},
        "owner_hint": ownership.orphan_hint(record),
        "start_time": record.created or None,
        "labels": dict(_spec(record, workspace).labels) if record.kind != "manual" else {},
        "annotations": metadata.load(workspace),
        "phase": _PHASES.get(record.state, "Pending"),
        "state": str(record.state),
        "cause": record.cause,
        "message": redactor.redact_text(record.message),
        "remedy": record.remedy,
        "containers": list(_containers(record, workspace, replicas, redactor)),
        "conditions": _conditions(record),
        "volumes": list(_volumes(record, workspace)),
        "sources": {place: source.as_dict() for place, source in record.sources.items()},
        "source_rows": record.source_rows,
        "regions": record.regions,
        "region_rows": list(region_rows(record)),
        "crops": {place: crop.as_dict() for place, crop in record.crops.items()},
        "qos_class": "Guaranteed" if record.kind != "manual" else None,
        "folder": record.folder,
        "events": [redactor.redact(one.as_dict(now)) for one in event_rows(record, workspace)],
    }


def _containers(
    record: TaskRecord, workspace: Workspace, replicas: Sequence[TaskRecord], redactor: Redactor
) -> Iterator[Fields]:
    """Yield the three steps; for a task with replicas, their containers and the step `outputs`."""
    if record.kind == "manual":
        return
    for name in (StepName.OUTPUTS,) if record.kind == "replicated" else StepName:
        if name is StepName.OUTPUTS:
            for number, replica in enumerate(replicas, 1):
                place = Workspace(workspace.path.parent / replica.id)
                own = _container(replica, place, StepName.TASK, redactor)
                yield own | {"name": f"task/{number}", "task": replica.id}
        yield _container(record, workspace, name, redactor)


def _container(record: TaskRecord, workspace: Workspace, name: StepName, redactor: Redactor) -> Fields:
    step = next((step for step in record.steps if step.name is name), None)
    facts = {"name": str(name), "init": name is StepName.PERMISSIONS, **_state(record, name, step)}
    facts["how"] = step.how if step else ""
    return facts | (_own_fields(record, workspace, redactor) if name is StepName.TASK else {})


def _state(record: TaskRecord, name: StepName, step: StepRecord | None) -> Fields:
    ended = record.state.is_final
    if step is None:
        state, reason = "Waiting", "NotReached" if ended else _WAITING.get(record.state, "Pending")
    elif step.finished is not None or ended:
        state, reason = "Terminated", _reason(record, name, step)
    else:
        state, reason = "Running", ""
    return {
        "state": state,
        "reason": reason,
        "exit_code": step.exit_code if step else None,
        "signal": record.signal if name is StepName.TASK else None,
        "started": step.started if step else None,
        "finished": step.finished if step else None,
        "message": step.message if step else "",
        "ready": state == "Running" or reason == "Completed",
    }


def _reason(record: TaskRecord, name: StepName, step: StepRecord) -> str:
    if step.exit_code == 0:
        return "Completed"
    cause = Cause.__members__.get(record.cause or "")
    if name is not StepName.TASK or cause is None:
        return "Error"
    return "Killed" if cause is Cause.KILLED else REASONS.get(cause, "Error")


def _own_fields(record: TaskRecord, workspace: Workspace, redactor: Redactor) -> Fields:
    """Return the fields that only the task's container has."""
    spec = _spec(record, workspace)
    amounts: Fields = {"cpu": spec.cpus, "memory": spec.memory}
    amounts |= {"gpu": spec.gpus} if spec.gpus else {}
    devices = {name: found for name in ("gpu_devices", "node") if (found := getattr(record, name))}
    starts = sum(state is TaskState.RUNNING for state, _ in record.history)
    return {
        "container_id": record.container,
        "image": record.image_name or record.run_plan.image or "",
        "image_id": record.image,
        "platform": record.platform or record.run_plan.platform,
        "image_from": record.image_from,
        "command": redactor.redact(record.program or list(spec.command or ())),
        "limits": amounts | {"pids": spec.pids},
        "requests": amounts,
        **devices,
        "network": "default" if spec.network else "none",
        "timeout": record.timeout,
        "environment": redactor.redact(dict(spec.environment)),
        "mounts": list(_mounts(record, spec, workspace)),
        "docker_command": docker_command(record, workspace),
        "restart_count": max(0, starts - 1),
        "usage": record.as_dict()["usage"],
        "usage_text": format_usage(record),
        "oom": record.oom,
    }


def _spec(record: TaskRecord, workspace: Workspace) -> ContainerSpec:
    """Return the spec of the task's container."""
    home = workspace.path.parent.parent
    if record.remote:
        return container_spec.remote_spec(record, home=home)
    return container_spec.local_spec(
        record, inputs=workspace.inputs, outputs=workspace.outputs, hosts=workspace.hosts, home=home
    )


def _mounts(record: TaskRecord, spec: ContainerSpec, workspace: Workspace) -> Iterator[Fields]:
    """Yield the mounts: localrun's volumes by name, users' files by path."""
    names = {workspace.inputs: "inputs", workspace.outputs: "outputs"}
    over_image = {mount.target for mount in record.run_plan.bind_mounts}
    for mount in spec.mounts:
        name = names.get(mount.source, str(mount.source))
        fields = {"path": mount.target, "volume": name, "read_only": mount.read_only}
        yield fields | ({"over_image": True} if mount.target in over_image else {})
    for place, name in zip(spec.folders, ("inputs", "outputs"), strict=False):
        yield {"path": place, "volume": name, "read_only": False}
    if spec.hosts_file is not None:
        yield {"path": "/etc/hosts", "volume": "hosts", "read_only": True}


def _volumes(record: TaskRecord, workspace: Workspace) -> Iterator[Fields]:
    if record.kind == "manual":
        return
    spec = _spec(record, workspace)
    kind = "HostPath (bare host directory volume)"
    if spec.folders:
        kind = "Volume (managed by the engine; files are copied as archives)"
    for name, path in (("inputs", workspace.inputs), ("outputs", workspace.outputs)):
        yield {"name": name, "type": kind, "path": str(path)}
    if spec.hosts_file is not None:
        yield {"name": "hosts", "type": "HostPath (a file)", "path": str(spec.hosts_file)}


def _conditions(record: TaskRecord) -> dict[str, bool]:
    """Return the conditions in the order of `kubectl`. All but Ready stay true once they were."""
    past_states = {state for state, _ in record.history}
    started = {step.name: step for step in record.steps}
    permissions, task = started.get(StepName.PERMISSIONS), started.get(StepName.TASK)
    initialized = permissions is not None and permissions.exit_code == 0
    if record.kind == "replicated":  # each replica prepares its own folders
        initialized = task is not None
    ready = record.state is TaskState.RUNNING and task is not None and task.finished is None
    return {
        "PodReadyToStartContainers": record.container is not None and not record.state.is_final,
        "Initialized": initialized,
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": TaskState.QUEUED in past_states,
    }
