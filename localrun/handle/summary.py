"""What a task came to: its time, its usage and its data, as facts and as a text for people."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localrun.metrics import in_words, so_far
from localrun.record import StepRecord, TaskRecord
from localrun.sizes import show_bytes, show_seconds
from localrun.states import StepName, TaskState
from localrun.workspace import Workspace

Facts = dict[str, Any]

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
_STEPS = {"permissions": StepName.PERMISSIONS, "run": StepName.TASK, "outputs": StepName.OUTPUTS}


def overview(record: TaskRecord, workspace: Workspace, now: float) -> Facts:
    """The time in every state, the operations in each, and the sizes of the data; ready for JSON.

    Times are seconds since 1970, durations seconds, sizes bytes. `now` ends what goes on still.
    """
    return {
        "timeline": list(_stays(record, now)),
        "data": {
            "inputs": _amount(workspace.inputs, more=sum(_mounted(record))),
            "outputs": _amount(workspace.outputs),
            "log": _size(workspace.log),
        },
    }


def _stays(record: TaskRecord, now: float) -> Iterator[Facts]:
    done = list(_operations(record))
    ends: list[float | None] = [since for _, since in record.history[1:]]
    last = len(record.history) - 1
    rooms = {state: index for index, (state, _) in enumerate(record.history)}
    for index, (state, since) in enumerate(record.history):
        ongoing = index == last and not state.is_end
        until = now if ongoing else ends[index] if index < last else None
        # a state may come twice: only of the last time there are durations. An end cuts its state short
        here = [one for one in done if rooms.get(one["state"], last) == index]
        yield {
            "state": str(state),
            "started": since,
            "seconds": None if until is None else max(0.0, until - since),
            "ongoing": ongoing,
            "operations": [{key: one[key] for key in ("name", "seconds", "detail")} for one in here],
        }


def _operations(record: TaskRecord) -> Iterator[Facts]:
    seconds = dict(record.timings)
    moments = dict(reversed(record.history))
    if _S.CREATED in moments and _S.PROVISIONED in moments:
        seconds["inputs"] = moments[_S.PROVISIONED] - moments[_S.CREATED]
    steps = {step.name: step for step in record.steps}
    for name in sorted(seconds, key=_place):
        yield {
            "name": name,
            "state": _OPERATIONS.get(name, _S.RUNNING),
            "seconds": seconds[name],
            "detail": _detail(name, record, steps),
        }


def _place(name: str) -> int:
    order = list(_OPERATIONS)
    return order.index(name) if name in order else len(order)


def _detail(name: str, record: TaskRecord, steps: dict[StepName, StepRecord]) -> str:
    if name == "image":
        return "was there" if record.image_from == "present" else record.image_from
    step = steps.get(_STEPS[name]) if name in _STEPS else None
    if step is None:
        return ""
    code = "" if step.exit_code is None or name != "run" else f"exit code {step.exit_code}"
    return "; ".join(part for part in (code, step.message) if part)


def _amount(folder: Path, more: int = 0) -> Facts:
    sizes = list(_sizes(folder))
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


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield Path(place, name).lstat().st_size
            except FileNotFoundError:  # the task that writes it may delete it
                continue


# -- as a text --------------------------------------------------------------------------------------


def summary(record: TaskRecord, workspace: Workspace) -> str:
    """The state and why, the time in every state and step, usage and data; ends with a line break."""
    record = so_far(workspace, record)
    found = overview(record, workspace, time.time())
    parts = [*_head(record), "", "Timeline:", *_timeline(found["timeline"])]
    if record.steps:
        parts += ["", "Steps:", *_steps(record)]
    if used := in_words(record):
        parts += ["", "Usage:", f"  {used}"]
    parts += ["", "Data:", *_data(found["data"])]
    return "\n".join(parts) + "\n"


def _head(record: TaskRecord) -> Iterator[str]:
    yield f"Task {record.id}: {record.state}" + (f" ({record.cause})" if record.cause else "")
    yield f"  {record.name or record.bundle or 'a task without a container'}"
    if record.message and not record.state.is_end:
        yield f"  waits: {record.message}"
    if record.cause and record.message:
        yield "  " + record.message.replace("\n", "\n  ")
    if record.remedy:
        yield f"  what to do: {record.remedy}"
    for warning in record.warnings:
        yield f"  warning: {warning}"


def _timeline(stays: list[Facts]) -> Iterator[str]:
    for stay in stays:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stay["started"]))
        took = "" if stay["seconds"] is None else show_seconds(stay["seconds"])
        took += " (ongoing)" if stay["ongoing"] else ""
        yield f"  {stay['state']:<12} at {at}  {took}".rstrip()
        for one in stay["operations"]:
            yield f"    - {one['name']:<12} {show_seconds(one['seconds']):>12}  {one['detail']}".rstrip()


def _steps(record: TaskRecord) -> Iterator[str]:
    for step in record.steps:
        took = "going on" if step.seconds is None else show_seconds(step.seconds)
        code = "" if step.exit_code is None else f"  exit code {step.exit_code}"
        how = f"  {step.how}" if step.how else ""
        yield f"  {step.name:<12} {took}{code}{how}"


def _data(data: Facts) -> Iterator[str]:
    for name in ("inputs", "outputs"):
        files, size = data[name]["files"], show_bytes(data[name]["size"])
        yield f"  {name + ':':<9} {files} {'file' if files == 1 else 'files'}, {size}"
    yield f"  {'log:':<9} {show_bytes(data['log'] or 0)}"
