"""End a run before its container does: on request, or with outputs that a client sends.

In App Engine a container next to the task does this. Here localrun reads the outputs when the container has
ended, so these requests are only needed by programs that do the work of that container.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from localrun import fs, values
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, DataType, File, Image
from localrun.errors import OutputsError, Problem
from localrun.server.appengine.errors import (
    AppEngineError,
    batch_error,
    invalid_state,
    server_error,
    value_error,
)
from localrun.server.appengine.parameter_values import ValueReader
from localrun.server.appengine.provisioning.contents import broken_rule
from localrun.server.appengine.provisioning.invalid_value import InvalidValue
from localrun.server.appengine.runs import AppEngineRun
from localrun.server.appengine.service import AppEngine
from localrun.task.active import ActiveTask
from localrun.task.outcome import Outcome
from localrun.task.states import TaskState
from localrun.values import CollectedOutputs
from localrun.values.image_headers.bounded_reader import CorruptFile
from localrun.values.image_headers.zips import open_zip, unpack_zip
from localrun.values.untrusted import UnsafePath, UntrustedDir

_STARTED = (TaskState.PROVISIONED, TaskState.QUEUING, TaskState.QUEUED, TaskState.PENDING, TaskState.RUNNING)
_MODES = 0o644, 0o755


def finish(service: AppEngine, run: AppEngineRun) -> None:
    """End a started run with the outputs that its program has written so far.

    Raises `AppEngineError`: the run goes on if an output is missing, and has failed if one is invalid.
    """
    task, descriptor = _started(service, run), service.task_of(run).descriptor
    folder = task.workspace.outputs
    for name, output in descriptor.outputs.items():
        if not (folder / name).exists() and not output.optional:
            raise server_error(f"Failed to read file {name}")
    found = _collect(task, descriptor, folder)
    refusal = _invalid(descriptor, UntrustedDir(folder, task.record.run_plan.output_folder), found.problems)
    _end(service, task, lambda: _outcome(found))
    if found.problems:
        raise refusal


def receive_outputs(
    service: AppEngine, run_id: str, secret: str, archive: Path, deviate: Callable[[str], None]
) -> None:
    """End a started run with the outputs in a zip. Raises `AppEngineError`, and the run has failed then.

    The run goes on if the secret is wrong, or the file is not a zip.
    """
    run = service.get_run(run_id)
    if not hmac.compare_digest(run.secret.encode(), secret.encode()):
        code = "APPE-scheduler-unauthenticated-output-provisioning"
        message = "unauthenticated task failed to provision outputs for this run"
        raise AppEngineError(400, code, message)
    task, descriptor = _started(service, run), service.task_of(run).descriptor
    unpacked = archive.with_name("unpacked")
    _unpack(archive, unpacked)
    refusal = _structure_error(descriptor, unpacked, deviate)
    if refusal is not None:
        _fail(service, task, refusal.message)
        raise refusal
    if any(isinstance(output.type, Array) for output in descriptor.outputs.values()):
        deviate("posted_arrays")
    found = _collect(task, descriptor, unpacked)
    if found.problems:
        _end(service, task, lambda: _discard(task, found))
        raise _invalid(descriptor, UntrustedDir(unpacked, "/"), found.problems)
    _end(service, task, lambda: _replace(task, descriptor, unpacked))


def _started(service: AppEngine, run: AppEngineRun) -> ActiveTask:
    task = service.manager.get_task(run.localrun_id)
    if task is None or task.record.run_plan.held or task.record.state not in _STARTED:
        raise invalid_state()
    return task


def _collect(task: ActiveTask, descriptor: Descriptor, folder: Path) -> CollectedOutputs:
    record = task.record
    return values.collect(descriptor, folder, record.inputs, record.regions)


def _outcome(found: CollectedOutputs) -> Outcome:
    if found.problems:
        error = OutputsError("invalid outputs", problems=found.problems)
        return Outcome.from_error(error).with_changes({"outputs": found.outputs})
    return Outcome(TaskState.FINISHED, {"outputs": found.outputs, "message": "finished"})


def _end(service: AppEngine, task: ActiveTask, outcome: Callable[[], Outcome]) -> None:
    """Stop the container of a task, and end the task with an outcome. Raises `AppEngineError` if it ended."""
    called = False

    def replacement() -> Outcome:
        nonlocal called
        called = True
        return outcome()

    task.replacement = replacement
    service.manager.kill(task, 0)
    service.manager.wait(task)
    if not called:
        raise invalid_state()


def _fail(service: AppEngine, task: ActiveTask, message: str) -> None:
    _end(service, task, lambda: Outcome.from_error(OutputsError(message)))


def _discard(task: ActiveTask, found: CollectedOutputs) -> Outcome:
    """Delete all outputs of a task, and return the outcome for those that are invalid."""
    task.workspace.clear_outputs()
    return _outcome(msgspec.structs.replace(found, outputs={}))


def _replace(task: ActiveTask, descriptor: Descriptor, folder: Path) -> Outcome:
    """Replace the outputs of a task by those in a folder, and return its outcome."""
    outputs = task.workspace.outputs
    task.workspace.clear_outputs()
    for path in folder.iterdir():
        fs.remove(outputs / path.name)
        path.rename(outputs / path.name)
    return _outcome(_collect(task, descriptor, outputs))


def _unpack(archive: Path, folder: Path) -> None:
    folder.mkdir()
    try:
        unpack_zip(archive, folder, _MODES, lambda: None)
        with archive.open("rb") as file, open_zip(file, archive.stat().st_size) as found:
            for item in found.infolist():
                if item.is_dir():
                    (folder / item.filename).mkdir(parents=True, exist_ok=True)
    except CorruptFile as error:
        raise server_error(f"cannot read the zip: {error}") from error


def _structure_error(
    descriptor: Descriptor, folder: Path, deviate: Callable[[str], None]
) -> AppEngineError | None:
    """Return the error for an archive that does not have the declared outputs, and only these."""
    names = {path.name for path in folder.iterdir()}
    if names - descriptor.outputs.keys():
        message = "unexpected output, did not match an actual task output"
        return AppEngineError(400, "APPE-internal-task-run-unknown-output", message)
    missing = [one for name, one in descriptor.outputs.items() if name not in names and not one.optional]
    if missing:
        if all(isinstance(output.type, Array) for output in missing):
            deviate("posted_missing_arrays")
        message = "some outputs are missing in the archive"
        return AppEngineError(400, "APPE-internal-task-run-missing-outputs", message)
    return None


def _invalid(descriptor: Descriptor, folder: UntrustedDir, problems: Sequence[Problem]) -> AppEngineError:
    """Return the error for invalid outputs: the rule of App Engine that each breaks, or what is wrong."""
    found: dict[str, list[AppEngineError]] = {}
    for problem in problems:
        name, *item = problem.path.split(".")[1:]
        message = f"{'/'.join((name, *item))}: {problem.message}" if item else problem.message
        found.setdefault(name, []).append(value_error(name, message))
    with folder as tree:
        for name in found:
            broken = _broken_rule(descriptor.outputs[name].type, tree, name)
            if broken is not None:
                found[name] = [broken.error(name)]
    return batch_error(error for errors in found.values() for error in errors)


def _broken_rule(kind: DataType, tree: UntrustedDir, name: str) -> InvalidValue | None:
    """Return App Engine's refusal of a value that localrun can read and that is not a file, or None."""
    items = kind.subtype if isinstance(kind, Array) else kind
    if isinstance(items, (Array, File, Image)):
        return None
    with suppress(UnsafePath, OSError):
        read = ValueReader(tree, "", is_input=False).read(kind, name)
        value = read["value"] if read else None
        if isinstance(kind, Array):
            value = value or []
            if any("value" not in item for item in value):
                return None
        return None if value is None else broken_rule(kind, value)
    return None
