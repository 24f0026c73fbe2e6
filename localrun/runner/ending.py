"""The outcome of a container that has ended, its times, and its entry in the index of results."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from localrun.copying import DiskLimit
from localrun.descriptor import Descriptor
from localrun.engines.base import Engine, EngineImage, Exit, Handle
from localrun.errors import Cause, LocalrunError, OutputsError, Problem, in_outputs
from localrun.runner.diagnosis import STOPPED, Diagnosis, Evidence
from localrun.runner.monitor import Observation
from localrun.settings import Settings
from localrun.task import fingerprint
from localrun.task.active import ActiveTask
from localrun.task.file_state import FileState
from localrun.task.outcome import Outcome
from localrun.task.record import RunPlan, TaskRecord
from localrun.task.states import TaskState
from localrun.task.workspace import Workspace
from localrun.units import format_count
from localrun.values import CollectedOutputs
from localrun.values.reuse.index import ReuseIndex, family
from localrun.values.reuse.seal import seal

_MAX_OFFSET = 1.0  # seconds; a smaller difference is the time that the engine took to answer


def container_times(exit_: Exit, clock_offset: float, record: TaskRecord) -> dict[str, float]:
    """Return `started` and `finished` of the current step by the engine's clock, as times of this machine."""
    running = record.history[-1][1]
    requested = record.steps[-1].started or running
    return limit_times(exit_, clock_offset, requested=requested, running=running, now=time.time())


def limit_times(
    exit_: Exit, clock_offset: float, *, requested: float, running: float, now: float
) -> dict[str, float]:
    """Return the times of a container, within what is known from this machine's clock.

    A container starts between its request and the time at which the task is `running`, and ends before `now`.
    A short program that ended before the task was `running` counts as ended at that time.
    """
    if exit_.started is None or exit_.finished is None:
        return {}
    shift = -clock_offset if abs(clock_offset) > _MAX_OFFSET else 0.0
    shift = min(shift, running - exit_.started, now - exit_.finished)
    shift = max(shift, requested - exit_.started, running - exit_.finished)
    return {"started": exit_.started + shift, "finished": max(exit_.finished + shift, running)}


def evidence_of(
    record: TaskRecord,
    seen: Observation,
    image: EngineImage | None,
    architecture: str,
    *,
    owner_died: str,
    has_rebooted: bool,
    find_program_error: Callable[[], Problem | None],
) -> Evidence:
    """Return the evidence about a container that has ended on an engine of this architecture."""
    return Evidence(
        seen.exit,
        task_id=record.id,
        program=record.program[0] if record.program else "(unknown)",
        memory=record.resources.memory,
        log=seen.log,
        timed_out=record.timeout if seen.timed_out else None,
        killed=seen.killed,
        disk_pressure=seen.disk_pressure,
        owner_died=owner_died,
        engine_stopped=seen.engine_stopped,
        engine_lost=seen.engine_lost or (has_rebooted and seen.exit.code in STOPPED),
        memory_peak=record.usage.memory_peak if record.usage else None,
        host_oom=seen.host_oom and not record.remote,
        image_architecture=image.architecture if image else architecture,
        engine_architecture=architecture,
        find_program_error=find_program_error,
    )


def fetch_outputs(
    engine: Engine, handle: Handle, task: ActiveTask, limit: DiskLimit
) -> tuple[str, list[Problem]]:
    """Make the outputs available in the task's folder; return how, and the rejected ones."""
    record, folder = task.record, task.workspace.outputs
    target = record.run_plan.output_folder
    if record.remote:
        from localrun.runner import remote_copy

        return "copied from the engine as an archive", remote_copy.copy_out(
            engine, handle, target, folder, limit
        )
    from localrun.runner import chown

    return f"mounted; {chown.chown_outputs(engine, handle, folder, target)}", []


def outcome_of(exit_: Exit, found: Diagnosis, collected: CollectedOutputs) -> Outcome:
    """Return the outcome of a task from its container's exit and its outputs."""
    fields: dict[str, Any] = {"exit_code": exit_.code, "signal": found.signal, "oom": found.oom}
    fields["outputs"] = collected.outputs
    if found.cause is not None:
        state = TaskState.KILLED if found.cause is Cause.KILLED else TaskState.FAILED
        reason = {"cause": str(found.cause), "message": found.message, "remedy": found.remedy}
        return Outcome(state, fields | reason)
    if collected.problems:
        return Outcome(TaskState.FAILED, fields | Outcome.from_error(_outputs_error(collected)).changes)
    return Outcome(TaskState.FINISHED, fields | {"message": "finished"})


def _outputs_error(collected: CollectedOutputs) -> OutputsError:
    if collected.cause is not None:
        return OutputsError(collected.message, cause=collected.cause, problems=collected.problems)
    found = format_count(len(collected.problems), "problem")
    return OutputsError(
        f"invalid outputs ({found}{in_outputs([problem.path for problem in collected.problems])})",
        remedy="fix the problems listed; name each file exactly like its output, without an extension",
        problems=collected.problems,
    )


def indexed(outcome: Outcome, task: ActiveTask, descriptor: Descriptor, settings: Settings) -> Outcome:
    """Add a task that is about to finish to the index, and return its outcome.

    It is added before its end is saved, so every finished task is in the index, and an entry whose task has
    not finished means nothing. Errors are ignored: the result is not reused then.
    """
    if outcome.state is TaskState.FINISHED:
        with suppress(OSError):
            if not _have_changed(task.record.run_plan, settings):
                add_result(task.record, task.workspace, descriptor, settings)
    return outcome


def add_result(record: TaskRecord, workspace: Workspace, descriptor: Descriptor, settings: Settings) -> None:
    """Add the result of a task to the index, unless it must not be reused. Errors are ignored."""
    if record.run_plan.contents is None or fingerprint.obstacle(record, network=True):
        return
    parts = fingerprint.parts_of(record, descriptor.source)
    if not all(parts.values()) or not fingerprint.ran_once(record):
        return
    index = ReuseIndex(settings.home)
    with suppress(OSError, LocalrunError):
        index.add(fingerprint.fingerprint(parts), record.id, seal(workspace.outputs))
        index.note_recent(family(descriptor), record.id)


def _have_changed(plan: RunPlan, settings: Settings) -> bool:
    """Return whether a file that the container could read has, or may have, changed since the submission."""
    if plan.contents is None or not all(plan.contents.values()):
        return True
    found = ((Path(source), plan.mount_states.get(place)) for source, place in plan.mounts)
    if any(FileState.of(path.stat()) != before for path, before in found):
        return True
    from localrun.values.layout import InputLayout
    from localrun.values.reuse.contents import ContentReader

    reader, contents = ContentReader(settings.cache, settings.home), plan.contents
    for mount in plan.bind_mounts:
        before = contents[fingerprint.mount_part(mount.target)]
        after = reader.read(InputLayout(), [mount], everything=before.startswith("0x")).digests
        if before not in after.values():
            return True
    return False
