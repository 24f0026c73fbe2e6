"""Compare two tasks, section by section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from localrun.masking.redaction import Redactor
from localrun.task.record import BUILD_OPTIONS, TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.compare.change import Change, diff_values
from localrun.values.compare.folders import diff_files, diff_folders

SECTIONS = ("bundle", "image", "inputs", "limits", "environment", "end", "outputs")


@dataclass(frozen=True, slots=True)
class ComparedTask:
    """One of the two tasks."""

    record: TaskRecord
    workspace: Workspace

    def input_path(self, name: str, value: Any) -> Path:
        """Return the path of an input: the task's copy if there is one, or the user's file."""
        mounted = {target: Path(source) for source, target in self.record.run_plan.mounts}
        copy = self.workspace.inputs / name
        return mounted.get(name) or (Path(value) if is_file_path(value) and not copy.exists() else copy)


def diff_tasks(first: ComparedTask, second: ComparedTask) -> list[Change]:
    """Return all differences between two tasks, except ids, times and locations."""
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
    """Return the duration of each phase in both tasks, in seconds."""
    names = dict.fromkeys((*first.timings, *second.timings))
    found = {name: (first.timings.get(name), second.timings.get(name)) for name in names}
    totals = [record.ended - record.created if record.ended else None for record in (first, second)]
    return {**found, "in all": (totals[0], totals[1])}


# -- definition ------------------------------------------------------------------------------------


def _bundle(first: ComparedTask, second: ComparedTask) -> Iterator[Change]:
    yield from diff_values("bundle", "name", first.record.name, second.record.name)
    paths = [side.record.run_plan.bundle for side in (first, second)]
    yield from diff_values("bundle", "path", *paths)
    yield from diff_files("bundle", "descriptor", first.workspace.descriptor, second.workspace.descriptor)


def _image(record: TaskRecord) -> dict[str, Any]:
    named = {"id": record.image, "name": record.image_name, "platform": record.platform}
    return named | {f"mount {one.target}": f"{one.mode} {one.source}" for one in record.run_plan.bind_mounts}


def _limits(record: TaskRecord) -> dict[str, Any]:
    return {
        **record.resources.as_dict(),
        "timeout": record.timeout,
        "network": record.network,
        **_of_plan(record, "pids", "hardened", "writable_inputs", "copy_inputs", "replicas", "agree"),
    }


def _environment(first: TaskRecord, second: TaskRecord) -> Iterator[Change]:
    """Compare the program's environment. Of secrets, only that they differ is shown."""
    ones, others = (_of_plan(record, "environment").get("environment", {}) for record in (first, second))
    plain: list[dict[str, Any]] = [Redactor().redact(values) for values in (ones, others)]
    for change in diff_values("environment", "", ones, others):
        one, other = (values.get(change.path) for values in plain)
        note = "different secret" if one == other else ""
        yield replace(change, first=None if note else one, second=None if note else other, note=note)
    names = ("command", "input_folder", "output_folder", *BUILD_OPTIONS)
    yield from diff_values("environment", "", _of_plan(first, *names), _of_plan(second, *names))


def _of_plan(record: TaskRecord, *names: str) -> dict[str, Any]:
    return {} if record.kind == "manual" else {name: getattr(record.run_plan, name) for name in names}


def _end(record: TaskRecord) -> dict[str, Any]:
    names = ("state", "cause", "exit_code", "signal", "message", "warnings", "problems")
    return {name: record.as_dict()[name] for name in names}


# -- inputs ----------------------------------------------------------------------------------------


def _inputs(first: ComparedTask, second: ComparedTask) -> Iterator[Change]:
    ones, others = first.record.inputs, second.record.inputs
    for name in (*ones, *(name for name in others if name not in ones)):
        yield from _input(first, second, (name,), ones.get(name), others.get(name))
    yield from diff_values("inputs", "", _regions(first.record), _regions(second.record))


def _regions(record: TaskRecord) -> dict[str, Any]:
    return {f"{place}.geojson": geometry for place, geometry in record.regions.items()}


def _input(
    first: ComparedTask, second: ComparedTask, parts: tuple[str, ...], one: Any, other: Any
) -> Iterator[Change]:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, items in enumerate(zip(one, other, strict=True)):
            yield from _input(first, second, (*parts, str(index)), *items)
    elif (is_file_path(one) or is_file_path(other)) and None not in (one, other):
        yield from _file(first, second, "/".join(parts), (one, other))
    else:
        yield from diff_values("inputs", parts[0] + "".join(f"[{part}]" for part in parts[1:]), one, other)


def _file(first: ComparedTask, second: ComparedTask, name: str, values: tuple[Any, Any]) -> Iterator[Change]:
    one, other = first.input_path(name, values[0]), second.input_path(name, values[1])
    if one != other:
        yield from diff_files("inputs", name, one, other)
    elif _modified_since(one, min(first.record.created, second.record.created)):
        note = f"{one} was modified since; its earlier content is not kept"
        yield Change("inputs", name, note=note)


def _modified_since(path: Path, since: float) -> bool:
    try:
        return path.stat().st_mtime > since
    except OSError:
        return False


# -- outputs ----------------------------------------------------------------------------------------


def _outputs(first: ComparedTask, second: ComparedTask) -> Iterator[Change]:
    """Compare outputs that are values as values, and everything else as files."""
    ones, others = _values(first.record.outputs), _values(second.record.outputs)
    yield from diff_values("outputs", "", ones, others)
    compared = ones.keys() & others.keys()
    folders = first.workspace.outputs, second.workspace.outputs
    inside = first.record.run_plan.output_folder, second.record.run_plan.output_folder
    for change in diff_folders("outputs", *folders, inside):
        if change.path.partition("/")[0] not in compared:
            yield change


def _values(outputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in outputs.items() if not _holds_files(value)}


def _holds_files(value: Any) -> bool:
    return any(map(_holds_files, value)) if isinstance(value, list) else is_file_path(value)


def is_file_path(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("/") and "\n" not in value
