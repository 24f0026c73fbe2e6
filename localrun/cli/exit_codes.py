"""The exit codes of the command and the causes they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from localrun.errors import Cause, Fault, LocalrunError, UsageError


class ExitCode(IntEnum):
    """The exit code of the command, with its meaning for the help page."""

    meaning: str

    FINISHED = (0, "the task finished and every output is valid")
    TASK_FAILED = (1, "the task failed; `diff`: the tasks differ")
    USAGE = (2, "invalid command, option or argument")
    BUNDLE_OR_VALUES = (3, "the bundle, its image or the inputs are invalid")
    RESOURCES = (4, "not enough CPU, memory, GPU or disk on this machine")
    ENGINE_OR_HOST = (5, "the container engine or this machine failed")
    ADDRESS = (6, "`serve`: the address is in use")
    LOGS = (7, "`serve`: the log folder is not writable")
    UNHEALTHY = (8, "`doctor`: a check failed")
    NO_CONSENSUS = (9, "`--replicas`: too few replicas gave the same result")
    SOME_FAILED = (10, "`batch`: some rows finished, and some did not")
    TIMEOUT = (124, "the task or `wait` exceeded its --timeout")  # the same as timeout(1)
    INTERRUPTED = (130, "stopped by Ctrl+C, a signal or `localrun kill`")  # the same as shells after Ctrl+C

    def __new__(cls, code: int, meaning: str) -> ExitCode:
        """Use the number as the value: `ExitCode(2)` returns the member."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


MEANINGS = {code: code.meaning for code in ExitCode}
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
