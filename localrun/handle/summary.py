"""What a task came to, as a text for people."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from localrun.metrics import in_words, so_far
from localrun.record import TaskRecord
from localrun.sizes import show_bytes, show_seconds
from localrun.workspace import Workspace


def summary(record: TaskRecord, workspace: Workspace) -> str:
    """The state and why, the time in every state and step, usage and data; ends with a line break."""
    record = so_far(workspace, record)
    parts = [*_head(record), "", "Timeline:", *_timeline(record)]
    if record.steps:
        parts += ["", "Steps:", *_steps(record)]
    if used := in_words(record):
        parts += ["", "Usage:", f"  {used}"]
    parts += ["", "Data:", *_data(workspace.outputs)]
    return "\n".join(parts) + "\n"


def _head(record: TaskRecord) -> Iterator[str]:
    yield f"Task {record.id}: {record.state}" + (f" ({record.cause})" if record.cause else "")
    yield f"  {record.name or record.bundle or 'a task without a container'}"
    if record.cause and record.message:
        yield "  " + record.message.replace("\n", "\n  ")
    if record.remedy:
        yield f"  what to do: {record.remedy}"


def _timeline(record: TaskRecord) -> Iterator[str]:
    until = [since for _, since in record.history[1:]]
    for index, (state, since) in enumerate(record.history):
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
        took = show_seconds(max(until[index] - since, 0.0)) if index < len(until) else ""
        if not took and not state.is_end:
            took = f"{show_seconds(max(time.time() - since, 0.0))} (ongoing)"
        yield f"  {state:<12} at {at}  {took}".rstrip()


def _steps(record: TaskRecord) -> Iterator[str]:
    for step in record.steps:
        took = "going on" if step.seconds is None else show_seconds(step.seconds)
        code = "" if step.exit_code is None else f"  exit code {step.exit_code}"
        yield f"  {step.name:<12} {took}{code}"


def _data(folder: Path) -> Iterator[str]:
    sizes = list(_sizes(folder))
    yield f"  output files: {len(sizes)}"
    yield f"  output size:  {show_bytes(sum(sizes))}"


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield Path(place, name).lstat().st_size
            except FileNotFoundError:  # the task that writes it may delete it
                continue
