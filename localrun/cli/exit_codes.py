"""The exit codes of the command, in one table."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from localrun.errors import Cause, LocalrunError, UsageError


class ExitCode(IntEnum):
    """What the shell is told."""

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
    TIMEOUT = 124  # as timeout(1) has it
    INTERRUPTED = 130  # as shells have it for Ctrl+C


MEANINGS: dict[ExitCode, str] = {
    ExitCode.FINISHED: "the task finished, and every output fits",
    ExitCode.TASK_FAILED: "the task failed: its exit code, signal, memory, outputs; `diff`: two tasks differ",
    ExitCode.USAGE: "the command was called in a wrong way",
    ExitCode.BUNDLE_OR_VALUES: "the bundle, its image or the values are wrong",
    ExitCode.RESOURCES: "refused: the machine has not the cpu, memory, gpu or disk that was asked for",
    ExitCode.ENGINE_OR_HOST: "the container engine or this machine failed",
    ExitCode.ADDRESS: "`serve`: the address is in use",
    ExitCode.LOGS: "`serve`: the log folder cannot be written",
    ExitCode.UNHEALTHY: "`doctor`: something keeps tasks from running",
    ExitCode.NO_CONSENSUS: "`--replicas`: too few of them gave the same result",
    ExitCode.TIMEOUT: "the task ran longer than its --timeout, or `wait` than its own",
    ExitCode.INTERRUPTED: "stopped by Ctrl+C, a signal, or `localrun kill`",
}

_BY_CAUSE: dict[Cause, ExitCode] = {
    Cause.BUNDLE_INVALID: ExitCode.BUNDLE_OR_VALUES,
    Cause.DESCRIPTOR_INVALID: ExitCode.BUNDLE_OR_VALUES,
    Cause.INPUTS_INVALID: ExitCode.BUNDLE_OR_VALUES,
    Cause.DATASET_CHECKSUM: ExitCode.BUNDLE_OR_VALUES,
    Cause.IMAGE_INVALID: ExitCode.BUNDLE_OR_VALUES,
    Cause.IMAGE_MISSING: ExitCode.BUNDLE_OR_VALUES,
    Cause.IMAGE_PULL_FAILED: ExitCode.BUNDLE_OR_VALUES,
    Cause.IMAGE_BUILD_FAILED: ExitCode.BUNDLE_OR_VALUES,
    Cause.IMAGE_PLATFORM: ExitCode.BUNDLE_OR_VALUES,
    Cause.ENTRYPOINT_INVALID: ExitCode.TASK_FAILED,
    Cause.CPU_UNAVAILABLE: ExitCode.RESOURCES,
    Cause.MEMORY_UNAVAILABLE: ExitCode.RESOURCES,
    Cause.GPU_UNAVAILABLE: ExitCode.RESOURCES,
    Cause.DISK_UNAVAILABLE: ExitCode.RESOURCES,
    Cause.EXIT_NONZERO: ExitCode.TASK_FAILED,
    Cause.SIGNAL: ExitCode.TASK_FAILED,
    Cause.OUT_OF_MEMORY: ExitCode.TASK_FAILED,
    Cause.TIMEOUT: ExitCode.TIMEOUT,
    Cause.OUTPUTS_INVALID: ExitCode.TASK_FAILED,
    Cause.RESULT_NAME_TOO_LONG: ExitCode.TASK_FAILED,
    Cause.RESULT_NOT_PACKED: ExitCode.TASK_FAILED,
    Cause.COMPUTED_FILE_MISSING: ExitCode.TASK_FAILED,
    Cause.DIGEST_FAILED: ExitCode.TASK_FAILED,
    Cause.RESULT_TOO_LARGE: ExitCode.TASK_FAILED,
    Cause.NO_CONSENSUS: ExitCode.NO_CONSENSUS,
    Cause.DISK_FULL: ExitCode.ENGINE_OR_HOST,
    Cause.DISK_PRESSURE: ExitCode.TASK_FAILED,
    Cause.KILLED: ExitCode.INTERRUPTED,
    Cause.RUNNER_TERMINATED: ExitCode.ENGINE_OR_HOST,
    Cause.ENGINE_UNREACHABLE: ExitCode.ENGINE_OR_HOST,
    Cause.ENGINE_LOST: ExitCode.ENGINE_OR_HOST,
    Cause.ENGINE_FAILED: ExitCode.ENGINE_OR_HOST,
    Cause.INTERNAL: ExitCode.ENGINE_OR_HOST,
}


_WORST_FIRST = (
    *(ExitCode.ENGINE_OR_HOST, ExitCode.USAGE, ExitCode.RESOURCES, ExitCode.BUNDLE_OR_VALUES),
    *(ExitCode.TASK_FAILED, ExitCode.NO_CONSENSUS, ExitCode.TIMEOUT, ExitCode.INTERRUPTED),
    ExitCode.FINISHED,
)


def worst(codes: Iterable[int]) -> int:
    """The exit code of several tasks: the first of 5, 2, 4, 3, 1, 9, 124, 130 that one of them has."""
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), max(found, default=ExitCode.FINISHED))


def code_for_cause(cause: Cause | None) -> ExitCode:
    """The exit code of a task that ended for `cause`; None: it ended well."""
    return ExitCode.FINISHED if cause is None else _BY_CAUSE[cause]


def code_for_error(error: LocalrunError) -> ExitCode:
    """The exit code of an error that ended the command itself."""
    return ExitCode.USAGE if isinstance(error, UsageError) else code_for_cause(error.cause)
