"""The summary of a task: its time, usage and data, as JSON-ready fields and as text."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from localrun import fs
from localrun.console.usage import format_usage
from localrun.runner.usage import with_current_usage
from localrun.task.record import StepRecord, TaskRecord
from localrun.task.states import StepName, TaskState
from localrun.task.workspace import Workspace
from localrun.units import format_bytes, format_count, format_duration

Facts = dict[str, Any]
HistoryEntry = tuple[str, float]  # a state, and when it was entered

_S = TaskState
# operation -> the state in which it happens, in order; `bundle` precedes the creation of the task
_OPERATIONS: dict[str, TaskState] = {
    "bundle": _S.CREATED,
    "inputs": _S.CREATED,
    "admission": _S.QUEUING,
    "image": _S.PENDING,
    "lock": _S.PENDING,  # the part of `image` that waited for another process
    "permissions": _S.PENDING,
    "create": _S.PENDING,
    "start": _S.PENDING,
    "run": _S.RUNNING,
    "outputs": _S.RUNNING,
    "remove": _S.RUNNING,
}
_STEPS = {
    "permissions": StepName.PERMISSIONS,
    "run": StepName.TASK,
    "outputs": StepName.OUTPUTS,
    "remove": StepName.OUTPUTS,  # removal has no step of its own
}


def overview(
    record: TaskRecord, workspace: Workspace, now: float, history: Iterable[HistoryEntry] | None = None
) -> Facts:
    """Return the time in each state, the operations in it, and the sizes of the data, ready for JSON.

    Times are seconds since 1970, durations seconds, sizes bytes. `now` is the end of ongoing states.
    `history` is the record's history in the terms of another system.
    """
    entries = [(str(word), since) for word, since in (record.history if history is None else history)]
    return {
        "timeline": _states(record, entries, now),
        "data": {
            "inputs": _count_files(workspace.inputs, more=sum(_mounted_sizes(record))),
            "outputs": _count_files(workspace.outputs),
            "log": _size(workspace.log),
        },
    }


def _states(record: TaskRecord, entries: list[HistoryEntry], now: float) -> list[Facts]:
    ends: list[float | None] = [since for _, since in entries[1:]]
    timeline: list[Facts] = []
    for (word, since), until in zip(entries, [*ends, None], strict=False):
        ongoing = until is None and not record.state.is_final
        last = now if ongoing else until
        seconds = None if last is None else max(0.0, last - since)
        timeline.append(
            {"state": word, "started": since, "seconds": seconds, "ongoing": ongoing, "operations": []}
        )
    for when, operation in _operations(record):
        earlier = [entry for entry in timeline if entry["started"] <= when]
        if timeline:
            (earlier or timeline)[-1 if earlier else 0]["operations"].append(operation)
    return timeline


def _operations(record: TaskRecord) -> Iterator[tuple[float, Facts]]:
    """Yield each operation with a time that falls into its state: the last time the task entered it."""
    seconds = dict(record.timings)
    entered = dict(record.history)
    if _S.CREATED in entered and _S.PROVISIONED in entered:
        seconds["inputs"] = entered[_S.PROVISIONED] - entered[_S.CREATED]
    steps = {step.name: step for step in record.steps}
    for name in sorted(seconds, key=_rank):
        step = steps.get(_STEPS[name]) if name in _STEPS else None
        when = entered.get(_OPERATIONS.get(name, _S.RUNNING), record.ended or record.created)
        if step is not None and step.started is not None:
            when = max(when, step.started)
        took = seconds[name]
        if name == "run" and step is not None and step.finished is not None:
            took = max(took, step.finished - when)  # another process may have measured the first part
        yield when, {"name": name, "seconds": took, "detail": _detail(name, record, step)}


def _rank(name: str) -> int:
    order = list(_OPERATIONS)
    return order.index(name) if name in order else len(order)


def _detail(name: str, record: TaskRecord, step: StepRecord | None) -> str:
    if name == "image":
        return record.image_from
    if step is None or name == "remove":
        return ""
    code = "" if step.exit_code is None or name != "run" else f"exit code {step.exit_code}"
    return "; ".join(part for part in (code, step.message) if part)


def _count_files(folder: Path, more: int = 0) -> Facts:
    # a mounted input is an empty file, and a link after the end
    sizes = [0 if stat.S_ISLNK(status.st_mode) else status.st_size for status in fs.walk_files(folder)]
    return {"files": len(sizes), "size": sum(sizes) + more}


def _mounted_sizes(record: TaskRecord) -> Iterator[int]:
    """Yield the sizes of mounted input files. The task's folder holds only placeholders for them."""
    for source, _ in record.run_plan.mounts:
        size = _size(Path(source))
        if size is not None:
            yield size


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


# -- as a text --------------------------------------------------------------------------------------


def summary(
    record: TaskRecord, workspace: Workspace, history: Iterable[HistoryEntry] | None = None, status: str = ""
) -> str:
    """Format state and cause, the time in each state and step, usage and data. Ends with a newline.

    `history` and `status` replace those of the record with the terms of another system.
    """
    record = with_current_usage(workspace, record)
    found = overview(record, workspace, time.time(), history)
    parts = [*_head(record, status), "", "Timeline:", *_timeline(found["timeline"])]
    if record.steps:
        parts += ["", "Steps:", *_steps(record)]
    if used := format_usage(record):
        parts += ["", "Usage:", f"  {used}"]
    parts += ["", "Data:", *_data(found["data"])]
    return "\n".join(parts) + "\n"


def _head(record: TaskRecord, status: str) -> Iterator[str]:
    yield f"Task {record.id}: {status or record.state}" + (f" ({record.cause})" if record.cause else "")
    yield f"  {record.name or record.bundle or 'a task without a container'}"
    if record.message and not record.state.is_final:
        yield f"  waiting: {record.message}"
    if record.cause and record.message:
        yield "  " + record.message.replace("\n", "\n  ")
    if record.remedy:
        yield f"  hint: {record.remedy}"
    for warning in record.warnings:
        yield f"  warning: {warning}"


def _timeline(timeline: list[Facts]) -> Iterator[str]:
    width = max((len(entry["state"]) for entry in timeline), default=0)
    for entry in timeline:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["started"]))
        took = "" if entry["seconds"] is None else format_duration(entry["seconds"])
        took += " (ongoing)" if entry["ongoing"] else ""
        yield f"  {entry['state']:<{width}}  at {at}  {took}".rstrip()
        for operation in entry["operations"]:
            seconds = format_duration(operation["seconds"])
            yield f"    - {operation['name']:<12} {seconds:>12}  {operation['detail']}".rstrip()


def _steps(record: TaskRecord) -> Iterator[str]:
    for step in record.steps:
        took = "running" if step.seconds is None else format_duration(step.seconds)
        code = "" if step.exit_code is None else f"  exit code {step.exit_code}"
        how = f"  {step.how}" if step.how else ""
        yield f"  {step.name:<12} {took}{code}{how}"


def _data(data: Facts) -> Iterator[str]:
    for name in ("inputs", "outputs"):
        files, size = data[name]["files"], format_bytes(data[name]["size"])
        yield f"  {name + ':':<9} {format_count(files, 'file')}, {size}"
    yield f"  {'log:':<9} {format_bytes(data['log'] or 0)}"
