"""The inputs of a task: check them, write those that are known, and later the outputs of other tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from localrun import fs, values
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Notes
from localrun.errors import DependencyFailed, InputsError
from localrun.manager.inputs import GatheredInputs, gather
from localrun.manager.request import Request
from localrun.manager.task_outputs import TaskOutputs
from localrun.masking import store as secrets
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.record import InputSource, RunPlan
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.units import format_count
from localrun.values import Assignments, PlannedInputs
from localrun.values.input_folder import load_texts
from localrun.values.layout import InputLayout
from localrun.values.parsing import NO_ASSIGNMENTS
from localrun.values.references import TaskOutput, has_urls, parameter_of
from localrun.values.reuse.contents import ContentReader, Contents
from localrun.values.urls import with_urls

_MOST_NAMED = 3  # outputs that a message names


class InputPlan(msgspec.Struct, frozen=True):
    """Checked inputs: the `planned` ones, and as JSON those `waiting` for outputs of other tasks."""

    planned: PlannedInputs
    waiting: dict[str, Any]
    sources: dict[str, InputSource]


class TaskInputs:
    """Writes the inputs of tasks."""

    def __init__(self, store: TaskStore, settings: Settings) -> None:
        self.outputs = TaskOutputs(store)
        self.contents = ContentReader(settings.cache, store.path)
        self._settings = settings

    def gather(self, request: Request, descriptor: Descriptor, task_id: str | None = None) -> GatheredInputs:
        """Return the inputs of a request, with the whole ids of the tasks that they are outputs of."""
        gathered = gather(request, descriptor)
        is_served = request.find_file is not None or request.wait_for_inputs
        given = gathered.given if is_served else with_urls(gathered.given, descriptor)
        given, problems = self.outputs.check(given, descriptor, task_id, urls=not is_served)
        assigned = gathered.assigned.with_problems(problems)
        return GatheredInputs(given, msgspec.structs.replace(assigned, values={}), gathered.warnings)

    def check(self, request: Request, descriptor: Descriptor) -> None:
        """Check the inputs of a request without a task. Raises `InputsError` with all problems."""
        found = self.gather(request, descriptor)
        if has_urls(found.given):
            values.check(descriptor, found.given, (), found.assigned)
        else:
            self.plan(RunPlan(), descriptor, found.given, found.assigned)

    def plan(
        self,
        plan: RunPlan,
        descriptor: Descriptor,
        given: Mapping[str, Any],
        assigned: Assignments = NO_ASSIGNMENTS,
    ) -> InputPlan:
        """Check the inputs of a task, and plan their files. Raises `InputsError` with all problems.

        `assigned` has the problems of `given`.
        """
        resolved = self.outputs.resolve(given)
        notes = Notes("inputs")
        stored = load_texts(resolved.waiting, descriptor, notes)
        planned = values.plan(
            descriptor,
            resolved.values,
            copy=plan.writable_inputs or plan.copy_inputs,
            assignments=Assignments({}, (*assigned.problems, *notes.problems), assigned.invalid),
            waiting={parameter_of(name) for name in resolved.waiting},
        )
        return InputPlan(planned, to_json(stored), resolved.sources)

    def provision(self, task: ActiveTask, descriptor: Descriptor, given: Mapping[str, Any]) -> None:
        """Write all inputs and enter PROVISIONED. Raises `InputsError` and changes nothing then."""
        self.write(task, descriptor, self.plan(task.record.run_plan, descriptor, given))

    def write(
        self,
        task: ActiveTask,
        descriptor: Descriptor,
        found: InputPlan,
        warnings: Sequence[str] = (),
        contents: Contents | None = None,
    ) -> None:
        """Write inputs and enter PROVISIONED. Raises `LocalrunError` and changes nothing then.

        A task that needs the outputs of active tasks is QUEUING afterwards, and `complete` writes them.
        """
        changes = self._write(task, descriptor, found.planned, warnings, contents)
        if found.waiting:
            stored = {**task.record.run_plan.values, **found.waiting}
            changes["plan"] = changes["plan"].replace(values=stored)
        changes["sources"] = {**task.record.sources, **found.sources}
        task.transition(TaskState.PROVISIONED, **changes, missing=[], received={})
        if found.waiting:
            note_waiting(task)

    def complete(self, task: ActiveTask, descriptor: Descriptor) -> None:
        """Write the inputs that are outputs of other tasks, which have ended. Raises `DependencyFailed`."""
        task.check_cancelled()
        record, plan = task.record, task.record.run_plan
        names = {parameter_of(place) for place in record.sources} - record.inputs.keys()
        given = {name: value for name, value in plan.values.items() if parameter_of(name) in names}
        for name in names:  # what a process that died has written
            fs.remove(task.workspace.inputs / name)
            fs.remove(task.workspace.inputs / f"{name}.geojson")
        known = InputLayout(
            values=dict(record.inputs), regions=dict(record.regions), crops=dict(record.crops)
        )
        try:
            resolved = self.outputs.resolve(given, final=True)
            copy = plan.writable_inputs or plan.copy_inputs
            planned = values.plan(descriptor, resolved.values, copy=copy, known=known)
            changes = self._write(task, descriptor, planned)
        except InputsError as error:
            sources = ", ".join(str(source) for source in record.needs)
            message = f"an output is not valid as an input of this task: {sources}"
            remedy = "pass the output of another task, or correct the program that wrote it"
            raise DependencyFailed(message, remedy=remedy, problems=error.problems) from error
        found = changes.pop("inputs")
        inputs = {name: found[name] for name in descriptor.inputs if name in found}
        task.update(**changes, inputs=inputs, message="")
        task.save()

    def _write(
        self,
        task: ActiveTask,
        descriptor: Descriptor,
        planned: PlannedInputs,
        warnings: Sequence[str] = (),
        contents: Contents | None = None,
    ) -> dict[str, Any]:
        """Write inputs to the task's folder, and return the changes to its record."""
        plan = task.record.run_plan
        if contents is None:
            hidden = secrets.load(task.workspace.secrets) if plan.secret_names else {}
            contents = self.contents.read(planned.layout, plan.bind_mounts, hidden)
        found = values.write(
            descriptor,
            planned,
            task.workspace.inputs,
            disk_limit=self._settings.disk_stop,
            check_cancelled=task.check_cancelled,
        )
        for note in found.notes:
            task.emit("note", note)
        for warning in (*warnings, *found.warnings):
            task.warn(warning)
        return {
            "inputs": found.values,
            "regions": found.regions,
            "crops": found.crops,
            "plan": plan.replace(
                mounts=[*plan.mounts, *((str(source), place) for source, place in found.mounts)],
                mount_states={**plan.mount_states, **found.states},
                contents={**(plan.contents or {}), **contents.confirmed()},
            ),
        }


def note_waiting(task: ActiveTask) -> None:
    """Enter QUEUING, if the task has not done so, and report the outputs that it waits for."""
    needs = task.record.needs
    named = [str(TaskOutput(one.task, one.output)) for one in needs[:_MOST_NAMED]]
    more = [format_count(len(needs) - _MOST_NAMED, "more output")] if len(needs) > _MOST_NAMED else []
    message = f"waiting for {', '.join([*named, *more])}"
    if task.record.message == message:
        return
    task.update(message=message)
    if task.record.state is TaskState.PROVISIONED:
        task.transition(TaskState.QUEUING)
    else:
        task.save()
    task.emit("note", message, waiting=True, needs=[source.as_dict() for source in needs])


def to_json(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return values in the form in which a plan stores them."""
    found: dict[str, Any] = msgspec.to_builtins(given, enc_hook=str)
    return found


def received_values(task: ActiveTask) -> dict[str, Any]:
    """Return the inputs of a task that waits for more: the submitted and the uploaded ones."""
    plan = task.record.run_plan
    return {**plan.values, **task.workspace.uploaded_files()}


def note_received(task: ActiveTask, found: Mapping[str, Any]) -> None:
    """Note the inputs that a waiting task has, for display: files by name and size, without secrets."""
    from localrun.masking.redaction import Redactor

    received = {name: _shown(value) for name, value in found.items()}
    task.update(received=Redactor().redact(task.masker.mask_json(received)))


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if not isinstance(value, str) or not value.startswith("/"):
        return value
    try:
        return {"file": os.path.basename(value), "size": os.stat(value).st_size}  # noqa: PTH116, PTH119
    except (OSError, ValueError):  # a string that is not a path
        return value
