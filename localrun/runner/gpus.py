"""The GPUs of a task: those that its container got must be as many as requested."""

from __future__ import annotations

from localrun.engines.base import Engine
from localrun.errors import Cause, EngineError
from localrun.task.active import ActiveTask


def note_gpus(engine: Engine, task: ActiveTask) -> None:
    """Record which GPUs the created container got. Raises `EngineError` if they are too few.

    An engine may ignore the request, and the program would then run on the CPU.
    """
    record = task.record
    assert record.container is not None
    found, wanted = list(engine.gpus(record.container)), record.resources.gpus
    task.update(gpu_devices=found)
    task.emit("note", f"GPUs of the container: {', '.join(found) or 'none'} ({wanted} requested)")
    if len(found) < wanted and "all" not in found:
        given = f"{len(found)} ({', '.join(found)})" if found else "none"
        raise EngineError(
            f"requested {wanted} GPUs, but the engine gave the container {given}",
            cause=Cause.GPU_UNAVAILABLE,
            remedy="request fewer GPUs, or run without: `--gpus 0`; `localrun doctor` lists them",
            requested=wanted,
            devices=found,
        )
