"""Outputs of other tasks as inputs: checked at submission, and resolved when these tasks have ended."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from localrun import descriptor as descriptors
from localrun import fs
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, DataType, Geometry
from localrun.errors import DependencyFailed, DescriptorError, Problem, TaskNotFound
from localrun.suggestions import did_you_mean
from localrun.task import lookup
from localrun.task.record import InputSource, TaskRecord, short_id
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace
from localrun.values.parsing import FileValue
from localrun.values.references import (
    Reference,
    TaskOutput,
    fits,
    parameter_of,
    replace_references,
    type_at,
)
from localrun.values.untrusted import UnsafePath, UntrustedDir
from localrun.values.urls import Url

_GEOMETRY = Geometry()
_RESULT = "result"  # the only output of an iExec app


class _Unsuitable(Exception):
    """An output cannot be the input; the arguments are a message and a remedy."""


class ResolvedInputs(msgspec.Struct, frozen=True):
    """The inputs whose values are known, those that still wait for an output, and where values come from."""

    values: dict[str, Any]
    waiting: dict[str, Any]
    sources: dict[str, InputSource]


class TaskOutputs:
    """The outputs of the tasks of a folder."""

    def __init__(self, store: TaskStore) -> None:
        self._store = store

    def check(
        self,
        given: Mapping[str, Any],
        descriptor: Descriptor,
        own_id: str | None = None,
        *,
        urls: bool = True,
    ) -> tuple[dict[str, Any], list[Problem]]:
        """Return the inputs with the whole ids of tasks, and a problem for each output that cannot come.

        `own_id` is the id of the task that gets them, if it is chosen already. `urls`: whether these may be
        downloaded.
        """
        problems: list[Problem] = []

        def visit(place: str, found: Reference) -> Reference | None:
            if isinstance(found, Url):
                why = found.problem if urls else (f"{found} is not downloaded by a server", "pass a file")
                problems.extend([Problem(_path(place), *why)] if why else [])
                return found
            try:
                return self._checked(place, found, descriptor, own_id)
            except _Unsuitable as error:
                problems.append(Problem(_path(place), *error.args))
            except TaskNotFound as error:
                problems.append(Problem(_path(place), error.message, error.remedy))
            return None

        checked = {name: replace_references(value, name, visit) for name, value in given.items()}
        if not problems:
            return checked, problems
        invalid = {problem.path.split(".")[1] for problem in problems}
        return {name: value for name, value in checked.items() if parameter_of(name) not in invalid}, problems

    def _checked(
        self, place: str, found: TaskOutput, descriptor: Descriptor, own_id: str | None
    ) -> TaskOutput:
        if not found.task.strip("/") or not found.output:
            raise _Unsuitable("missing the id of a task or the name of its output", "write @task:ID/OUTPUT")
        if found.task == own_id:
            raise _Unsuitable("the task would depend on itself", "use the output of another task")
        workspace = lookup.find(self._store, found.task)
        found = TaskOutput(workspace.id, found.output)
        record = workspace.load()
        source = _type_of(found, record, workspace)
        _check_state(found, record)
        self._check_cycle(found, own_id)
        target = _target(place, descriptor)
        if source is not None and target is not None and not fits(source, target):
            message = f"expected {_named(target)}, but {found} is {_named(source)}"
            raise _Unsuitable(message, "use an output of this type")
        return found

    def _check_cycle(self, found: TaskOutput, own_id: str | None) -> None:
        """Refuse a task that waits, itself or through others, for the task that would wait for it."""
        ids, seen = [found.task] if own_id is not None else [], set[str]()
        while ids:
            record = self._store.open(ids.pop()).load_or_none()
            needed = {one.task for one in record.needs} if record is not None else set()
            if own_id in needed:
                path = f"task {short_id(found.task)} waits for an output of this task"
                raise _Unsuitable(f"{path}: each would depend on the other", "use the output of another task")
            ids += needed - seen
            seen |= needed

    def resolve(self, given: Mapping[str, Any], *, final: bool = False) -> ResolvedInputs:
        """Replace the outputs of tasks that have finished by their files.

        An input waits as a whole, with its region, if one of its values is an output that is not there. If
        none will come any more (`final`), raises `DependencyFailed` with every output that did not come.
        """
        problems: list[Problem] = []
        sources: dict[str, InputSource] = {}
        waiting: set[str] = set()
        records: dict[str, TaskRecord | None] = {}

        def visit(place: str, found: Reference) -> Any:
            if isinstance(found, Url):  # downloaded before, or on a node of a cluster
                return found
            sources[place] = InputSource(task=found.task, output=found.output)
            workspace = self._store.open(found.task)
            if found.task not in records:
                records[found.task] = workspace.load_or_none()
            record = records[found.task]
            try:
                if record is None:
                    raise _Unsuitable(f"task {short_id(found.task)} was deleted", _remedy(place))
                _check_state(found, record, place)
                if not record.state.is_final:
                    waiting.add(parameter_of(place))
                    return found
                return _value_of(found, record, workspace)
            except _Unsuitable as error:
                problems.append(Problem(_path(place), *error.args))
                waiting.add(parameter_of(place))
                return found

        values = {name: replace_references(value, name, visit) for name, value in given.items()}
        if not waiting:
            return ResolvedInputs(values, {}, sources)
        if problems and final:
            raise DependencyFailed(problems[0].message, remedy=problems[0].remedy, problems=problems[1:])
        held = {name: given[name] for name in values if parameter_of(name) in waiting}
        known = {name: value for name, value in values.items() if name not in held}
        return ResolvedInputs(known, held, sources)


def _path(place: str) -> str:
    return f"inputs.{place.replace('/', '.')}"


def _remedy(place: str) -> str:
    return f"pass the output of another task: -i {place}=@task:ID/OUTPUT"


def _named(kind: DataType) -> str:
    name = "array of " + kind.subtype.id if isinstance(kind, Array) else kind.id
    return f"{'an' if name[0] in 'aei' else 'a'} {name}"


def _target(place: str, descriptor: Descriptor) -> DataType | None:
    """Return the type of the input at a place; None if there is none, which is reported elsewhere."""
    if place.endswith((".geojson", ".crop")):
        return _GEOMETRY
    name, _, indexes = place.partition("/")
    return type_at(descriptor.inputs[name].type, indexes) if name in descriptor.inputs else None


def _check_state(found: TaskOutput, record: TaskRecord, place: str = "") -> None:
    """Raise `_Unsuitable` if the task has ended without the output."""
    if record.state in (TaskState.FAILED, TaskState.KILLED):
        name, cause = record.short_id, f" ({record.cause})" if record.state is TaskState.FAILED else ""
        how = "failed" if record.state is TaskState.FAILED else "was stopped"
        again = f"run it again: `localrun rerun {name}`, and pass the output of the new task"
        raise _Unsuitable(f"{found} will not come: the task {how}{cause}", again)
    name = found.output.partition("/")[0]
    if record.state is TaskState.FINISHED and record.outputs.get(name) is None:
        expected = f"it has: {', '.join(record.outputs)}" if record.outputs else "it has no outputs"
        message = f"task {record.short_id} finished without the output {name!r}"
        raise _Unsuitable(message, expected if not place else _remedy(place))


def _type_of(found: TaskOutput, record: TaskRecord, workspace: Workspace) -> DataType | None:
    """Return the declared type of an output; None if it is not declared, as that of an iExec app."""
    if record.kind == "manual":
        raise _Unsuitable(f"task {record.short_id} has no container and no output files", "pass its value")
    declared = _outputs(workspace)
    name, _, indexes = found.output.partition("/")
    if record.run_plan.profile == "iexec":
        declared, indexes = {}, ""
    elif name in declared:
        kind = type_at(declared[name], indexes)
        if kind is None:
            raise _Unsuitable(f"{TaskOutput(found.task, name)} has no item {indexes!r}", "use a whole output")
        return kind
    elif record.outputs and name in record.outputs:
        return None
    names = list(declared) or ([_RESULT] if record.run_plan.profile == "iexec" else [])
    if name in names:
        return None
    expected = f"expected one of: {', '.join(names)}" if names else "it has no outputs"
    remedy = did_you_mean(name, names) or expected
    raise _Unsuitable(f"task {record.short_id} has no output {name!r}", remedy)


def _outputs(workspace: Workspace) -> dict[str, DataType]:
    try:
        found = _parse(fs.read_regular(workspace.descriptor))
    except (OSError, DescriptorError):
        return {}
    return {name: parameter.type for name, parameter in found.outputs.items()}


@lru_cache(maxsize=16)
def _parse(text: bytes) -> Descriptor:
    return descriptors.read(text)


def _value_of(found: TaskOutput, record: TaskRecord, workspace: Workspace) -> Any:
    """Return an output of a finished task as `FileValue`; an array as a list of them."""
    name, *indexes = found.output.split("/")
    value: Any = record.outputs[name]
    for index in indexes:
        if not isinstance(value, list) or int(index) >= len(value):
            size = len(value) if isinstance(value, list) else 0
            message = f"output {name!r} of task {record.short_id} has no item {index}: it has {size}"
            raise _Unsuitable(message, "use one of its items, which are numbered from 0")
        value = value[int(index)]
    if record.run_plan.profile == "iexec":
        return FileValue(Path(value))
    try:
        with UntrustedDir(workspace.outputs, record.run_plan.output_folder) as tree:
            return _files(tree, value, tuple(found.output.split("/")))
    except (OSError, UnsafePath) as error:
        message = f"cannot read output {name!r} of task {record.short_id}: {error}"
        raise _Unsuitable(message, f"run it again: `localrun rerun {record.short_id}`") from error


def _files(tree: UntrustedDir, value: Any, parts: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_files(tree, item, (*parts, str(index))) for index, item in enumerate(value)]
    entry = tree.find(parts)
    if entry is None:
        raise UnsafePath(f"{'/'.join(parts)} was deleted")
    return FileValue(tree.host_path(entry))
