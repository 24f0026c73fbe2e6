"""What a task came to: its time, its usage and its data, as facts and as a text for people."""

from __future__ import annotations

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
from localrun.units import format_bytes, format_duration

Facts = dict[str, Any]
HistoryEntry = tuple[str, float]  # a state, and when it was entered

_S = TaskState
# operation -> the state in which it is done, in their order; `bundle` comes before the task is known
_OPERATIONS: dict[str, TaskState] = {
    "bundle": _S.CREATED,
    "inputs": _S.CREATED,
    "admission": _S.QUEUING,
    "image": _S.PENDING,
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
    "remove": StepName.OUTPUTS,  # what comes after it has no step of its own
}


def overview(
    record: TaskRecord, workspace: Workspace, now: float, history: Iterable[HistoryEntry] | None = None
) -> Facts:
    """The time in every state, the operations in each, and the sizes of the data; ready for JSON.

    Times are seconds since 1970, durations seconds, sizes bytes. `now` ends what goes on still. `history`
    is that of the record in the words of another system.
    """
    entries = [(str(word), since) for word, since in (record.history if history is None else history)]
    return {
        "timeline": _stays(record, entries, now),
        "data": {
            "inputs": _amount(workspace.inputs, more=sum(_mounted(record))),
            "outputs": _amount(workspace.outputs),
            "log": _size(workspace.log),
        },
    }


def _stays(record: TaskRecord, entries: list[HistoryEntry], now: float) -> list[Facts]:
    ends: list[float | None] = [since for _, since in entries[1:]]
    stays: list[Facts] = []
    for (word, since), until in zip(entries, [*ends, None], strict=False):
        ongoing = until is None and not record.state.is_final
        last = now if ongoing else until
        seconds = None if last is None else max(0.0, last - since)
        stays.append(
            {"state": word, "started": since, "seconds": seconds, "ongoing": ongoing, "operations": []}
        )
    for moment, operation in _operations(record):
        fitting = [stay for stay in stays if stay["started"] <= moment]
        if stays:
            (fitting or stays)[-1 if fitting else 0]["operations"].append(operation)
    return stays


def _operations(record: TaskRecord) -> Iterator[tuple[float, Facts]]:
    """Each with the moment that says in which state it was done: the last time that the task was there."""
    seconds = dict(record.timings)
    moments = dict(record.history)
    if _S.CREATED in moments and _S.PROVISIONED in moments:
        seconds["inputs"] = moments[_S.PROVISIONED] - moments[_S.CREATED]
    steps = {step.name: step for step in record.steps}
    for name in sorted(seconds, key=_place):
        step = steps.get(_STEPS[name]) if name in _STEPS else None
        moment = moments.get(_OPERATIONS.get(name, _S.RUNNING), record.ended_at or record.created_at)
        if step is not None and step.started is not None:
            moment = max(moment, step.started)
        took = seconds[name]
        if name == "run" and step is not None and step.finished is not None:
            took = max(took, step.finished - moment)  # another process may have seen the first part of it
        yield moment, {"name": name, "seconds": took, "detail": _detail(name, record, step)}


def _place(name: str) -> int:
    order = list(_OPERATIONS)
    return order.index(name) if name in order else len(order)


def _detail(name: str, record: TaskRecord, step: StepRecord | None) -> str:
    if name == "image":
        return "was there" if record.image_from == "present" else record.image_from
    if step is None or name == "remove":
        return ""
    code = "" if step.exit_code is None or name != "run" else f"exit code {step.exit_code}"
    return "; ".join(part for part in (code, step.message) if part)


def _amount(folder: Path, more: int = 0) -> Facts:
    sizes = [status.st_size for status in fs.walk_files(folder)]
    return {"files": len(sizes), "size": sum(sizes) + more}


def _mounted(record: TaskRecord) -> Iterator[int]:
    """Sizes of a user's own files, which lie where they are; in the folder stand empty ones for them."""
    for source, _ in record.plan.mounts if record.plan else ():
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
    """The state and why, the time in every state and step, usage and data; ends with a line break.

    `history` and `status` are those of the record in the words of another system.
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
        yield f"  waits: {record.message}"
    if record.cause and record.message:
        yield "  " + record.message.replace("\n", "\n  ")
    if record.remedy:
        yield f"  hint: {record.remedy}"
    for warning in record.warnings:
        yield f"  warning: {warning}"


def _timeline(stays: list[Facts]) -> Iterator[str]:
    width = max((len(stay["state"]) for stay in stays), default=0)
    for stay in stays:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stay["started"]))
        took = "" if stay["seconds"] is None else format_duration(stay["seconds"])
        took += " (ongoing)" if stay["ongoing"] else ""
        yield f"  {stay['state']:<{width}}  at {at}  {took}".rstrip()
        for one in stay["operations"]:
            yield f"    - {one['name']:<12} {format_duration(one['seconds']):>12}  {one['detail']}".rstrip()


def _steps(record: TaskRecord) -> Iterator[str]:
    for step in record.steps:
        took = "going on" if step.seconds is None else format_duration(step.seconds)
        code = "" if step.exit_code is None else f"  exit code {step.exit_code}"
        how = f"  {step.how}" if step.how else ""
        yield f"  {step.name:<12} {took}{code}{how}"


def _data(data: Facts) -> Iterator[str]:
    for name in ("inputs", "outputs"):
        files, size = data[name]["files"], format_bytes(data[name]["size"])
        yield f"  {name + ':':<9} {files} {'file' if files == 1 else 'files'}, {size}"
    yield f"  {'log:':<9} {format_bytes(data['log'] or 0)}"
