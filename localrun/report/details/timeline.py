"""The course of a task on one time axis: states, steps, notes, its log and its resource usage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from msgspec import structs

from localrun.masking.redaction import Redactor
from localrun.runner.usage import UsageSample, read_samples
from localrun.task.log import read_times
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace

MAX_SAMPLES = 600
MAX_LOG_TIMES = 2000

Fields = dict[str, Any]


def timeline(record: TaskRecord, workspace: Workspace, now: float) -> Fields:
    """Return the timeline of a task. Times are in seconds since 1970; the end of an active part is null."""
    ends = [*(since for _, since in record.history[1:]), record.ended]
    states = zip(record.history, ends, strict=False)
    return {
        "start": record.created or None,
        "end": record.ended,
        "now": now,
        "states": [{"state": str(state), "start": since, "end": end} for (state, since), end in states],
        "steps": [
            {
                "name": str(step.name),
                "how": step.how,
                "start": step.started,
                "end": step.finished,
                "exit_code": step.exit_code,
                "message": step.message,
            }
            for step in record.steps
        ],
        "timings": [{"name": name, "seconds": seconds} for name, seconds in record.timings.items()],
        "marks": list(_marks(workspace)),
        "log": [[when, offset] for offset, when in thin_out(read_times(workspace.log), MAX_LOG_TIMES)],
    }


def _marks(workspace: Workspace) -> Iterator[Fields]:
    redactor = Redactor()
    for event in workspace.read_events():
        if event.kind in ("note", "warning"):
            kind = "kill" if event.data.get("killing") else event.kind
            yield {"time": event.time, "kind": kind, "message": redactor.redact_text(event.message)}
    if (at := workspace.kill_requested_at) is not None:
        yield {"time": at, "kind": "kill", "message": "a stop was requested"}


def usage(record: TaskRecord, workspace: Workspace) -> Fields:
    """Return samples of the resource usage of a task, and its limits."""
    samples = usage_samples(workspace)
    return {
        "samples": thin_out(samples, MAX_SAMPLES),
        "last": samples[-1]["time"] if samples else None,
        "memory_limit": record.resources.memory,
        "cpus": record.resources.cpus,
        "total": record.as_dict()["usage"],
    }


def usage_samples(workspace: Workspace, since: float = 0.0) -> list[Fields]:
    """Return the samples after a time; `cpus` is the number of CPUs used since the one before."""
    samples = [*read_samples(workspace.usage)]
    found = [{**structs.asdict(samples[0]), "cpus": None}] if samples else []
    found += [
        {**structs.asdict(sample), "cpus": _cpus(before, sample)} for before, sample in pairwise(samples)
    ]
    return [sample for sample in found if sample["time"] > since]


def _cpus(before: UsageSample, sample: UsageSample) -> float | None:
    seconds, used = sample.time - before.time, sample.cpu_seconds - before.cpu_seconds
    return round(used / seconds, 4) if seconds > 0 and used >= 0 else None


def thin_out(items: Sequence[Any], limit: int) -> list[Any]:
    """Return at most `limit` items, evenly spread, with the first and the last one."""
    if len(items) <= limit:
        return list(items)
    return [items[index * (len(items) - 1) // (limit - 1)] for index in range(limit)]
