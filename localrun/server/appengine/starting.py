"""Start a run: the last checks of its inputs, and how its record shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from localrun.descriptor import Descriptor
from localrun.descriptor.types import (
    Array,
    DataType,
    DateTime,
    Enumeration,
    File,
    Geometry,
    Image,
    Notes,
    String,
)
from localrun.errors import LocalrunError, UsageError
from localrun.manager.submission import PreparedTask
from localrun.server.appengine.errors import (
    AppEngineError,
    invalid_state,
    not_provisioned,
    server_error,
)
from localrun.server.appengine.provisioning.input_store import InputStore
from localrun.server.appengine.runs import AppEngineRun
from localrun.server.appengine.service import AppEngine
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.values import matching
from localrun.values.collection import check_gaps, is_index
from localrun.values.coordinates import links
from localrun.values.input_folder import REGION
from localrun.values.layout import InputLayout, plan_inputs


def null_inputs(record: TaskRecord) -> set[str]:
    """Return the inputs that were set to null."""
    shown = record.received if record.run_plan.held else record.inputs
    return {name for name, value in shown.items() if value is None}


def note_provisioned(service: AppEngine, run: AppEngineRun) -> None:
    """Make a run PROVISIONED if no required input is missing, as the state action does."""
    prepared = service.held(run)
    if prepared.task.record.state is not TaskState.CREATED:
        raise invalid_state()
    with prepared.guard:
        missing = InputStore(prepared.task.workspace, prepared.descriptor).missing()
        service.manager.held.note(run.localrun_id, missing, prepared.task.record.received)


def start(service: AppEngine, run: AppEngineRun, deviate: Callable[[str], None]) -> None:
    """Start a provisioned run. Raises `AppEngineError`, and the run stays as it is then."""
    if service.held(run).task.record.state is TaskState.CREATED:
        raise not_provisioned()
    try:
        service.manager.held.start(run.localrun_id, partial(_checked, deviate))
    except UsageError:
        raise invalid_state() from None
    except LocalrunError as error:  # this machine cannot run it
        text = "; ".join(part for part in (error.message, error.remedy) if part)
        raise server_error(text) from error


def _checked(deviate: Callable[[str], None], prepared: PreparedTask) -> dict[str, Any]:
    """Return the changes to the record of a task that starts.

    What only localrun checks becomes a warning: App Engine would run the task.
    """
    task, descriptor = prepared.task, prepared.descriptor
    folder, store = task.workspace.inputs, InputStore(task.workspace, descriptor)
    if store.missing():
        raise not_provisioned()
    nulls = null_inputs(task.record)
    kinds = {name: descriptor.inputs[name].type for name in store.provisioned()}
    values = {name: None if name in nulls else _read(kind, folder / name) for name, kind in kinds.items()}
    _check_sizes(descriptor, values, deviate)
    given = {
        name: _with_region(values[name], folder / f"{name}{REGION}") for name in kinds if name not in nulls
    }
    layout, warnings = _own_checks(descriptor, given, folder)
    task.warn_once(warnings)
    return {"inputs": msgspec.to_builtins(values, enc_hook=str), "regions": layout.regions}


def _read(kind: DataType, path: Path) -> Any:
    """Return a provisioned value as localrun's own: files by their path, arrays as lists."""
    if isinstance(kind, (File, Image)):
        return path
    if isinstance(kind, Array):
        return [_read(kind.subtype, path / name) for name in _indexes(path)]
    text = path.read_bytes().decode()
    if isinstance(kind, (String, Enumeration)):
        return text
    if text == "null":
        return None
    if isinstance(kind, (Geometry, DateTime)):
        return path if isinstance(kind, Geometry) else text
    return kind.to_json(kind.parse(text, Notes("")))


def _indexes(folder: Path) -> list[str]:
    return sorted((entry.name for entry in folder.iterdir() if is_index(entry.name)), key=int)


def _check_gaps(kind: DataType, path: Path, notes: Notes) -> None:
    if isinstance(kind, Array):
        names = _indexes(path)
        check_gaps([int(name) for name in names], notes)
        for name in names:
            _check_gaps(kind.subtype, path / name, notes.child(name))


def _with_region(value: Any, region: Path) -> Any:
    return {"file": value, "region": region} if region.is_file() else value


def _check_sizes(descriptor: Descriptor, values: Mapping[str, Any], deviate: Callable[[str], None]) -> None:
    notes = Notes("inputs")
    matching.check_inputs(descriptor, values, notes)
    if notes.warnings:
        deviate("matching_unset")
    if notes.problems:
        raise AppEngineError(400, "APPE-internal-not-matching", "collections don't have the same size")


def _own_checks(
    descriptor: Descriptor, given: Mapping[str, Any], folder: Path
) -> tuple[InputLayout, list[str]]:
    """Return the inputs as localrun reads them, and what App Engine does not check."""
    notes = Notes("inputs")
    unset = descriptor.inputs.keys() - given.keys()
    layout = plan_inputs(descriptor, given, notes, copy=True, invalid=unset)
    for name in given:
        _check_gaps(descriptor.inputs[name].type, folder / name, notes.child(name))
    if links.geometry_names(descriptor.inputs):
        from localrun.values.coordinates.check import check_inputs

        check_inputs(descriptor, links.Values(layout.values, {}, {}), notes)
    problems = [f"{problem.path}: {problem.message} (App Engine accepts this)" for problem in notes.problems]
    return layout, [*problems, *notes.warnings]
