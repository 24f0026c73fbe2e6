"""How a container's end is judged: pure, from evidence, and never from the exit code alone."""

from __future__ import annotations

import re
import signal

import msgspec
from msgspec.structs import replace

from localrun.engines.base import Exit
from localrun.errors import Cause
from localrun.task.causes import explain
from localrun.task.record import OomEvidence
from localrun.units import format_bytes

# docker's init process says so itself when it cannot start the program it was given
_INIT_FAILED = re.compile(
    r"^\[FATAL tini \(\d+\)\] exec (?P<program>.+) failed: (?P<reason>.+)$", re.MULTILINE
)
_NO_SPACE = re.compile(
    r"^.*(no space left on device|errno 28|disk quota exceeded).*$", re.IGNORECASE | re.MULTILINE
)
TAIL_LINES = 10
# by the convention of shells
_CODES = {
    126: " (a program that it called is not executable, or is none)",
    127: " (a program that it called is not there, or not in its PATH)",
}
_BY_WHOM = (
    ", which localrun did not send: its program did, or somebody stopped its container, or the engine"
    " was about to end"
)
_SILENT = "let the program say on its standard error what goes wrong, before it ends"


class Evidence(msgspec.Struct, frozen=True):
    """What is known of a container that has ended.

    `timed_out`, `killed` and `pressed` say that we stopped it ourselves; `lost` that the engine went away
    meanwhile; `memory` is its limit in bytes; `log` the
    end of what it wrote; the architectures are the image's and the engine's.
    """

    exit: Exit
    memory: int
    log: str = ""
    timed_out: float | None = None
    killed: bool = False
    disk_pressure: str = ""
    engine_lost: bool = False
    image_architecture: str = ""
    engine_architecture: str = ""
    task_id: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """How it ended: `cause` is None when it ended well."""

    cause: Cause | None
    message: str = ""
    remedy: str = ""
    signal: str | None = None
    oom: OomEvidence = "no"
    warning: str = ""


def diagnose(evidence: Evidence) -> Diagnosis:
    """Say why a container ended as it did."""
    for rule in (
        _stopped_by_us,
        _engine_lost,
        _never_started,
        _out_of_memory,
        _disk_full,
        _ended_by_signal,
        _failed,
    ):
        verdict = rule(evidence)
        if verdict is not None:
            return verdict
    return _ended_well(evidence)


def _verdict(
    evidence: Evidence, cause: Cause, message: str, *, ended_by: str | None = None, oom: OomEvidence = "no"
) -> Diagnosis:
    return Diagnosis(cause, message + format_log_tail(evidence.log), _remedy(cause, evidence), ended_by, oom)


def _remedy(cause: Cause, evidence: Evidence) -> str:
    return explain(cause).remedy_for(evidence.task_id)


def format_log_tail(log: str) -> str:
    """The last lines of a log, as they are added to a message."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()][-TAIL_LINES:]
    return (
        "; the end of its log:\n" + "\n".join(f"    {line}" for line in lines)
        if lines
        else "; its log is empty"
    )


def _stopped_by_us(evidence: Evidence) -> Diagnosis | None:
    if evidence.killed:
        return Diagnosis(Cause.KILLED, "the task was stopped on request", "", signal_name(evidence.exit.code))
    if evidence.timed_out is not None:
        message = f"the task ran longer than its limit of {evidence.timed_out:g} s and was stopped"
        return _verdict(evidence, Cause.TIMEOUT, message, ended_by=signal_name(evidence.exit.code))
    if evidence.disk_pressure:
        message = f"the task was stopped before the disk was full: {evidence.disk_pressure}"
        return _verdict(evidence, Cause.DISK_PRESSURE, message, ended_by=signal_name(evidence.exit.code))
    return None


def _engine_lost(evidence: Evidence) -> Diagnosis | None:
    if not evidence.engine_lost or evidence.exit.code == 0:
        return None
    code = evidence.exit.code
    message = f"the engine was restarted while the task ran, and ended it (exit code {code})"
    return _verdict(evidence, Cause.ENGINE_LOST, message, ended_by=signal_name(code))


def _never_started(evidence: Evidence) -> Diagnosis | None:
    found = _INIT_FAILED.search(evidence.log) if evidence.exit.code in (126, 127, 255, 1) else None
    if found is None:
        return None
    program, reason = found["program"], found["reason"]
    if evidence.image_architecture != evidence.engine_architecture or "exec format error" in reason.lower():
        return _exec_format(evidence, program)
    return _verdict_without_log(
        Cause.ENTRYPOINT_INVALID, f"the image's program {program!r} could not be started: {reason}"
    )


def _exec_format(evidence: Evidence, program: str) -> Diagnosis:
    if evidence.image_architecture != evidence.engine_architecture:
        message = (
            f"the image is made for {evidence.image_architecture}, and this engine runs"
            f" {evidence.engine_architecture}: {program!r} could not be started"
        )
        return _verdict_without_log(Cause.IMAGE_PLATFORM, message)
    message = (
        f"the image's program {program!r} is no program of this kind of machine"
        " (exec format error): a script needs a first line such as `#!/bin/sh`"
    )
    return _verdict_without_log(Cause.ENTRYPOINT_INVALID, message)


def _verdict_without_log(cause: Cause, message: str) -> Diagnosis:
    return Diagnosis(cause, message, explain(cause).remedy)


def _out_of_memory(evidence: Evidence) -> Diagnosis | None:
    code, limit = evidence.exit.code, format_bytes(evidence.memory)
    if code == 0:
        return None
    if evidence.exit.oom_killed:
        message = f"the task ran out of memory: it went beyond its limit of {limit} (exit code {code})"
        return _verdict(evidence, Cause.OUT_OF_MEMORY, message, ended_by=signal_name(code), oom="yes")
    if code == 128 + signal.SIGKILL:
        message = (
            f"the task was ended by SIGKILL, which localrun did not send: it probably went beyond its"
            f" memory limit of {limit} (exit code {code})"
        )
        return _verdict(evidence, Cause.OUT_OF_MEMORY, message, ended_by="SIGKILL", oom="suspected")
    return None


def _disk_full(evidence: Evidence) -> Diagnosis | None:
    found = _NO_SPACE.search(evidence.log) if evidence.exit.code else None
    if found is None:
        return None
    message = f"a disk was full while the task ran, {found[0].strip()!r} (exit code {evidence.exit.code})"
    return _verdict(evidence, Cause.DISK_FULL, message)


def _ended_by_signal(evidence: Evidence) -> Diagnosis | None:
    name = signal_name(evidence.exit.code)
    if name is None:
        return None
    message = f"the task was ended by {name} (exit code {evidence.exit.code})"
    if name == "SIGTERM":
        message += _BY_WHOM
    return _verdict(evidence, Cause.SIGNAL, message, ended_by=name)


def _failed(evidence: Evidence) -> Diagnosis | None:
    code = evidence.exit.code
    if code == 0:
        return None
    found = _verdict(
        evidence, Cause.EXIT_NONZERO, f"the task failed with exit code {code}{_CODES.get(code, '')}"
    )
    return found if evidence.log.strip() else replace(found, remedy=_SILENT)


def _ended_well(evidence: Evidence) -> Diagnosis:
    if not evidence.exit.oom_killed:
        return Diagnosis(None)
    limit = format_bytes(evidence.memory)
    warning = (
        f"a process of the task was killed for lack of memory (limit {limit}), yet the task ended with 0"
    )
    return Diagnosis(None, oom="yes", warning=warning)


def signal_name(code: int) -> str | None:
    """The signal that an exit code stands for (128 + its number), by the convention of shells."""
    try:
        return signal.Signals(code - 128).name if code > 128 else None
    except ValueError:
        return None
