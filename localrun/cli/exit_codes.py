"""The exit codes of the command and the causes they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from localrun.errors import Cause, Fault, LocalrunError, UsageError


class ExitCode(IntEnum):
    """The exit code of the command."""

    FINISHED = 0
    TASK_FAILED = 1
    USAGE = 2
    BUNDLE_OR_VALUES = 3
    RESOURCES = 4
    ENGINE_OR_HOST = 5
    ADDRESS = 6
    LOGS = 7
    UNHEALTHY = 8
    NO_CONSENSUS = 9
    TIMEOUT = 124  # the same as timeout(1)
    INTERRUPTED = 130  # the same as shells after Ctrl+C


MEANINGS: dict[ExitCode, str] = {
    ExitCode.FINISHED: "the task finished and every output is valid",
    ExitCode.TASK_FAILED: "the task failed; `diff`: the tasks differ",
    ExitCode.USAGE: "invalid command, option or argument",
    ExitCode.BUNDLE_OR_VALUES: "the bundle, its image or the inputs are invalid",
    ExitCode.RESOURCES: "not enough CPU, memory, GPU or disk on this machine",
    ExitCode.ENGINE_OR_HOST: "the container engine or this machine failed",
    ExitCode.ADDRESS: "`serve`: the address is in use",
    ExitCode.LOGS: "`serve`: the log folder is not writable",
    ExitCode.UNHEALTHY: "`doctor`: a check failed",
    ExitCode.NO_CONSENSUS: "`--replicas`: too few replicas gave the same result",
    ExitCode.TIMEOUT: "the task or `wait` exceeded its --timeout",
    ExitCode.INTERRUPTED: "stopped by Ctrl+C, a signal or `localrun kill`",
}

_BY_FAULT = {
    Fault.USER: ExitCode.BUNDLE_OR_VALUES,
    Fault.TASK: ExitCode.TASK_FAILED,
    Fault.HOST: ExitCode.ENGINE_OR_HOST,
}
_BY_CAUSE = {cause: _BY_FAULT[cause.fault] for cause in Cause} | {
    Cause.CPU_UNAVAILABLE: ExitCode.RESOURCES,
    Cause.MEMORY_UNAVAILABLE: ExitCode.RESOURCES,
    Cause.GPU_UNAVAILABLE: ExitCode.RESOURCES,
    Cause.DISK_UNAVAILABLE: ExitCode.RESOURCES,
    Cause.NO_CONSENSUS: ExitCode.NO_CONSENSUS,
    Cause.TIMEOUT: ExitCode.TIMEOUT,
    Cause.KILLED: ExitCode.INTERRUPTED,
}
_WORST_FIRST = (
    *(ExitCode.ENGINE_OR_HOST, ExitCode.USAGE, ExitCode.RESOURCES, ExitCode.BUNDLE_OR_VALUES),
    *(ExitCode.TASK_FAILED, ExitCode.NO_CONSENSUS, ExitCode.TIMEOUT, ExitCode.INTERRUPTED),
    ExitCode.FINISHED,
)


def worst(codes: Iterable[int]) -> int:
    """Return the exit code of multiple tasks: the first of 5, 2, 4, 3, 1, 9, 124 and 130 that occurs."""
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), max(found, default=ExitCode.FINISHED))


def code_for_cause(cause: Cause | None) -> ExitCode:
    """Return the exit code of a task that ended with `cause`; None means it finished."""
    return ExitCode.FINISHED if cause is None else _BY_CAUSE[cause]


def code_for_error(error: LocalrunError) -> ExitCode:
    """Return the exit code of an error that ended the command."""
    return ExitCode.USAGE if isinstance(error, UsageError) else code_for_cause(error.cause)
