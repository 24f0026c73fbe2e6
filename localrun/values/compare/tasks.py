"""Two tasks, section by section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from localrun.masking.redaction import Redactor
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.compare.change import Change, diff_values
from localrun.values.compare.folders import diff_files, diff_folders

SECTIONS = ("bundle", "image", "inputs", "limits", "environment", "end", "outputs")


@dataclass(frozen=True, slots=True)
class ComparedTask:
    """One of the two tasks."""

    record: TaskRecord
    workspace: Workspace

    def input_path(self, place: str, value: str) -> Path:
        """Where the content of an input file is: the copy that the task got, or the user's own file."""
        mounted = {there: Path(source) for source, there in self.record.run_plan.mounts}
        copy = self.workspace.inputs / place
        return mounted.get(place) or (copy if copy.exists() else Path(value))


def diff_tasks(first: ComparedTask, second: ComparedTask) -> list[Change]:
    """Everything in which two tasks differ, but for what differs always: ids, times, places."""
    return [
        *_bundle(first, second),
        *diff_values("image", "", _image(first.record), _image(second.record)),
        *_inputs(first, second),
        *diff_values("limits", "", _limits(first.record), _limits(second.record)),
        *_environment(first.record, second.record),
        *diff_values("end", "", _end(first.record), _end(second.record)),
        *_outputs(first, second),
    ]


def diff_durations(first: TaskRecord, second: TaskRecord) -> dict[str, tuple[float | None, float | None]]:
    """How long each phase took in either, in seconds; that differs always."""
    names = dict.fromkeys((*first.timings, *second.timings))
    found = {name: (first.timings.get(name), second.timings.get(name)) for name in names}
    totals = [record.ended_at - record.created_at if record.ended_at else None for record in (first, second)]
    return {**found, "in all": (totals[0], totals[1])}


# -- what they were ---------------------------------------------------------------------------------


def _bundle(first: ComparedTask, second: ComparedTask) -> Iterator[Change]:
    yield from diff_values("bundle", "name", first.record.name, second.record.name)
    paths = [side.record.run_plan.bundle for side in (first, second)]
    yield from diff_values("bundle", "path", *paths)
    yield from diff_files("bundle", "descriptor", first.workspace.descriptor, second.workspace.descriptor)


def _image(record: TaskRecord) -> dict[str, Any]:
    return {"id": record.image, "name": record.image_name}


def _limits(record: TaskRecord) -> dict[str, Any]:
    return {
        **record.resources.as_dict(),
        "timeout": record.timeout,
        "network": record.network,
        **_of_plan(record, "pids", "hardened", "writable_inputs", "replicas", "agree"),
    }


def _environment(first: TaskRecord, second: TaskRecord) -> Iterator[Change]:
    """What the program finds around it; of secrets only that they differ."""
    ours, theirs = (_of_plan(record, "environment").get("environment", {}) for record in (first, second))
    plain: list[dict[str, Any]] = [Redactor().redact(values) for values in (ours, theirs)]
    for change in diff_values("environment", "", ours, theirs):
        one, other = (values.get(change.path) for values in plain)
        note = "is another secret" if one == other else ""
        yield replace(change, first=None if note else one, second=None if note else other, note=note)
    names = ("command", "input_folder", "output_folder", "build_args")
    yield from diff_values("environment", "", _of_plan(first, *names), _of_plan(second, *names))


def _of_plan(record: TaskRecord, *names: str) -> dict[str, Any]:
    return {} if record.kind == "manual" else {name: getattr(record.run_plan, name) for name in names}


def _end(record: TaskRecord) -> dict[str, Any]:
    names = ("state", "cause", "exit_code", "signal", "message", "warnings", "problems")
    return {name: record.as_dict()[name] for name in names}


# -- what they were given ---------------------------------------------------------------------------


def _inputs(first: ComparedTask, second: ComparedTask) -> Iterator[Change]:
    ours, theirs = first.record.inputs, second.record.inputs
    for name in (*ours, *(name for name in theirs if name not in ours)):
        yield from _input(first, second, (name,), ours.get(name), theirs.get(name))


def _input(
    first: ComparedTask, second: ComparedTask, parts: tuple[str, ...], one: Any, other: Any
) -> Iterator[Change]:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (ours, theirs) in enumerate(zip(one, other, strict=True)):
            yield from _input(first, second, (*parts, str(index)), ours, theirs)
    elif is_file_path(one) and is_file_path(other):
        yield from _file(first, second, "/".join(parts), (one, other))
    else:
        yield from diff_values("inputs", parts[0] + "".join(f"[{part}]" for part in parts[1:]), one, other)


def _file(first: ComparedTask, second: ComparedTask, place: str, values: tuple[str, str]) -> Iterator[Change]:
    one, other = first.input_path(place, values[0]), second.input_path(place, values[1])
    if one != other:
        yield from diff_files("inputs", place, one, other)
    elif _written_since(one, min(first.record.created_at, second.record.created_at)):
        note = f"{one} has been written to since: what it held before is not kept"
        yield Change("inputs", place, note=note)


def _written_since(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime > moment
    except OSError:
        return False


# -- what they gave ---------------------------------------------------------------------------------


def _outputs(first: ComparedTask, second: ComparedTask) -> Iterator[Change]:
    """Values as values; everything else that lies there as files."""
    ours, theirs = _values(first.record.outputs), _values(second.record.outputs)
    yield from diff_values("outputs", "", ours, theirs)
    told = ours.keys() & theirs.keys()
    for change in diff_folders("outputs", first.workspace.outputs, second.workspace.outputs):
        if change.path.partition("/")[0] not in told:
            yield change


def _values(outputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in outputs.items() if not _holds_files(value)}


def _holds_files(value: Any) -> bool:
    return any(map(_holds_files, value)) if isinstance(value, list) else is_file_path(value)


def is_file_path(value: Any) -> bool:
    """Whether the value of an input or output is the path of a file."""
    return isinstance(value, str) and value.startswith("/") and "\n" not in value
