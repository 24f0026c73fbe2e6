"""A task's resource usage as text."""

from __future__ import annotations

from localrun.descriptor.model import ResourceRequest
from localrun.task.record import Resources, TaskRecord
from localrun.task.states import TaskState
from localrun.units import format_bytes, format_count, format_duration


def format_resources(resources: Resources | ResourceRequest) -> str:
    """Return e.g. `2 CPUs, 4 GiB, 1 GPU`, without GPUs if there are none."""
    cpus = f"{resources.cpus:g} CPU" + ("s" if resources.cpus != 1 else "")
    gpus = f", {format_count(resources.gpus, 'GPU')}" if resources.gpus else ""
    return f"{cpus}, {format_bytes(resources.memory)}{gpus}"


def format_usage(record: TaskRecord) -> str:
    """Return a task's resource usage in one line, with its memory limit; empty if it never ran."""
    usage, limit = record.usage, record.resources.memory
    if record.oom == "yes":
        memory = f"memory above its limit of {format_bytes(limit)}"
    elif usage is not None:
        share = f"{100 * usage.memory_peak / limit:.0f} %" if limit else ""
        memory = f"peak memory {format_bytes(usage.memory_peak)} of {format_bytes(limit)} ({share})"
        if usage.memory_most is not None:
            memory += f", with cached files {format_bytes(usage.memory_most)}"
    else:
        ran = any(state is TaskState.RUNNING for state, _ in record.history)
        if ran and record.kind == "replicated":
            return f"separate for each replica, limit {format_bytes(limit)}"
        return f"peak memory not sampled, limit {format_bytes(limit)}" if ran else ""
    if usage is None:
        return memory
    moved = f"{format_bytes(usage.read_bytes)} read, {format_bytes(usage.written_bytes)} written"
    return f"{memory}; cpu {format_duration(usage.cpu_seconds)}; disk {moved}"
