"""The outcome of a container that has ended, and its times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from localrun.copying import DiskLimit
from localrun.engines.base import Engine, EngineImage, Exit, Handle
from localrun.errors import Cause, OutputsError, Problem, in_outputs
from localrun.runner.diagnosis import STOPPED, Diagnosis, Evidence
from localrun.runner.monitor import Observation
from localrun.task.active import ActiveTask
from localrun.task.outcome import Outcome
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.units import format_count
from localrun.values import CollectedOutputs

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
