"""Diagnosis of a container's exit: why did it end like this.

The rules use all evidence, because an exit code alone proves little.
"""

from __future__ import annotations

import dataclasses
import re
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from localrun.descriptor import Descriptor
from localrun.engines.architectures import Platform
from localrun.engines.base import Engine, EngineImage, Exit, Handle
from localrun.engines.log_remedies import program_remedy
from localrun.errors import Cause, EngineError, LocalrunError, Problem
from localrun.task.causes import explain
from localrun.task.record import OomEvidence
from localrun.units import format_bytes, format_duration

if TYPE_CHECKING:
    from localrun.bundle.validation.findings import Finding

# the init process of the engine writes this line if it cannot start the program: Docker's, Podman's
_INIT_FAILED = re.compile(
    r"(?m)^\[FATAL tini \(\d+\)\] exec (?P<program>.+) failed: (?P<reason>.+)$"
    r"|^ERROR \(catatonit:\d+\): failed to exec pid1: (?P<why>.+)$"
)
_NO_SPACE = re.compile(r"(?im)^.*(no space left on device|errno 28|disk quota exceeded).*$")
TAIL_LINES = 10
LOG_FOLLOWS = "; the end of its log:"
# exit codes with a meaning to shells
_CODES = {
    126: " (a program that it called is not executable)",
    127: " (a program that it called does not exist or is not in its PATH)",
}
_SHELL_CODES = (2, 126, 127)  # a shell that runs a binary of another machine exits with one of these
_SENT = (
    ", which localrun did not send: the program may have sent it or exited with this code, or the container"
    " may have been stopped"
)
_SENDERS = {"SIGTERM": _SENT, "SIGKILL": f"{_SENT}; there is no sign that memory ran out"}
STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGKILL)  # the exit codes of a program that was stopped
_NEAR_LIMIT = 0.9  # of the memory limit: a sample is up to a second old when a process is killed
_SILENT = "make the program write its errors to standard error before it exits"


class Evidence(msgspec.Struct, frozen=True):
    """The known facts about a container that has ended.

    `timed_out` (the limit in seconds), `killed` and `disk_pressure` (the reason) are set if localrun stopped
    the container, `owner_died` (the process that owned the task) if it did so because that process died.
    `engine_stopped` means that the engine stopped the container to shut down, `engine_lost` that it was lost
    in the meantime. `memory` is the limit in bytes and `memory_peak` the highest use, if known; `host_oom`
    means that the kernel killed a process while the memory of the machine was full. `log` is the end of the
    output, `program` what the container runs. The architectures are those of the image and the engine.
    `find_program_error` inspects the program in the container; it is called only if the other evidence
    suggests that the program never started.
    """

    exit: Exit
    memory: int
    log: str = ""
    timed_out: float | None = None
    killed: bool = False
    disk_pressure: str = ""
    owner_died: str = ""
    engine_stopped: bool = False
    engine_lost: bool = False
    memory_peak: int | None = None
    host_oom: bool = False
    image_architecture: str = ""
    engine_architecture: str = ""
    task_id: str = ""
    program: str = "(unknown)"
    find_program_error: Callable[[], Problem | None] = lambda: None


class Diagnosis(msgspec.Struct, frozen=True):
    """Why a container ended. `cause` is None if it succeeded."""

    cause: Cause | None
    message: str = ""
    remedy: str = ""
    signal: str | None = None
    oom: OomEvidence = "no"
    warning: str = ""


def diagnose(evidence: Evidence) -> Diagnosis:
    """Return the result of the first rule that applies."""
    stopped = _stopped_by_localrun(evidence) or _engine_stopped(evidence)
    if stopped is not None:
        return stopped
    if evidence.exit.code == 0:
        return _succeeded(evidence)
    for rule in (_engine_lost, _never_started, _out_of_memory, _disk_full, _ended_by_signal, _run_by_shell):
        found = rule(evidence)
        if found is not None:
            return found
    return _failed(evidence)


def find_program_error(
    engine: Engine,
    handle: Handle,
    *,
    image: EngineImage | None,
    command: list[str] | None,
    descriptor: Descriptor,
) -> Problem | None:
    """Return the first error of the program in an ended container, or None if none is found.

    `command` replaces the image's own unless it is None. The kernel's messages are not enough: if the
    interpreter of a script is missing, the kernel reports that the script is.
    """
    if image is None:
        return None
    from localrun.bundle.validation import image_config, program
    from localrun.bundle.validation.container_files import ContainerFiles, open_container_files

    config = image_config.from_engine(image, "")
    if command is not None:
        config = dataclasses.replace(config, command=tuple(command))
    with suppress(EngineError):
        return _first_error(program.check(config, descriptor, ContainerFiles(engine, handle)))
    # Docker 28.5 cannot read a container with a mount inside of a read-only mount, such as an input file
    with suppress(LocalrunError), open_container_files(engine, image.id) as files:
        return _first_error(program.check(config, descriptor, files))
    return None  # the diagnosis does not depend on it


def _first_error(findings: Iterable[Finding]) -> Problem | None:
    from localrun.bundle.validation.findings import Severity

    return next((finding.problem for finding in findings if finding.severity is Severity.ERROR), None)


def _diagnosis(
    evidence: Evidence, cause: Cause, message: str, *, ended_by: str | None = None, oom: OomEvidence = "no"
) -> Diagnosis:
    remedy = explain(cause).remedy_for(evidence.task_id)
    return Diagnosis(cause, message + format_log_tail(evidence.log), remedy, ended_by, oom)


def format_log_tail(log: str) -> str:
    """Return the last lines of a log, as a suffix of a message."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()][-TAIL_LINES:]
    if not lines:
        return "; its log is empty"
    return LOG_FOLLOWS + "".join(f"\n    {line}" for line in lines)


def first_line(message: str) -> str:
    """Return the first line of a message, without the announcement of the log that follows."""
    return message.partition("\n")[0].removesuffix(LOG_FOLLOWS)


def _stopped_by_localrun(evidence: Evidence) -> Diagnosis | None:
    ended_by = signal_name(evidence.exit.code)
    if evidence.killed:
        return Diagnosis(Cause.KILLED, "the task was stopped on request", "", ended_by)
    if evidence.timed_out is not None:
        limit, seconds = evidence.timed_out, evidence.exit.seconds
        took = "was stopped" if ended_by or seconds is None else f"ran for {format_duration(seconds)}"
        message = f"the task exceeded its time limit of {limit:g} s and {took}"
        return _diagnosis(evidence, Cause.TIMEOUT, message, ended_by=ended_by)
    if evidence.disk_pressure:
        message = f"the task was stopped before the disk was full: {evidence.disk_pressure}"
        return _diagnosis(evidence, Cause.DISK_PRESSURE, message, ended_by=ended_by)
    if evidence.owner_died:
        message = f"the localrun {evidence.owner_died} of the task died before the task ended"
        return _diagnosis(evidence, Cause.RUNNER_TERMINATED, message, ended_by=ended_by)
    return None


def _engine_stopped(evidence: Evidence) -> Diagnosis | None:
    if not evidence.engine_stopped:
        return None
    code = evidence.exit.code
    message = f"the engine was shut down while the task ran, and stopped it (exit code {code})"
    return _diagnosis(evidence, Cause.ENGINE_LOST, message, ended_by=signal_name(code))


def _engine_lost(evidence: Evidence) -> Diagnosis | None:
    if not evidence.engine_lost:
        return None
    code = evidence.exit.code
    message = f"the engine was restarted while the task ran, and stopped it (exit code {code})"
    return _diagnosis(evidence, Cause.ENGINE_LOST, message, ended_by=signal_name(code))


def _never_started(evidence: Evidence) -> Diagnosis | None:
    found = _INIT_FAILED.search(evidence.log) if evidence.exit.code in (126, 127, 255, 1) else None
    if found is None:
        return None
    program, reason = found["program"] or evidence.program, found["reason"] or found["why"]
    engine, built_for = evidence.engine_architecture, evidence.image_architecture
    if not Platform(architecture=engine).runs(Platform(architecture=built_for)):
        message = (
            f"the image is built for {built_for}, but this engine runs {engine} and cannot emulate it:"
            f" {program!r} could not be started"
        )
        return Diagnosis(Cause.IMAGE_PLATFORM, message, explain(Cause.IMAGE_PLATFORM).remedy)
    if "exec format error" in reason.lower():
        message = (
            f"the image's program {program!r} is not an executable for this kind of machine"
            " (exec format error); a script needs a first line such as `#!/bin/sh`"
        )
    else:
        message = f"the image's program {program!r} could not be started: {reason}"
    remedy = explain(Cause.ENTRYPOINT_INVALID).remedy
    return _invalid_program(evidence) or Diagnosis(Cause.ENTRYPOINT_INVALID, message, remedy)


def _invalid_program(evidence: Evidence) -> Diagnosis | None:
    problem = evidence.find_program_error()
    if problem is None:
        return None
    code = evidence.exit.code
    message = f"the image's program could not be started: {problem.message} (exit code {code})"
    return Diagnosis(Cause.ENTRYPOINT_INVALID, message, problem.remedy)


def _out_of_memory(evidence: Evidence) -> Diagnosis | None:
    code, limit = evidence.exit.code, format_bytes(evidence.memory)
    if evidence.exit.oom_killed:
        message = f"the task ran out of memory: it exceeded its limit of {limit} (exit code {code})"
        return _diagnosis(evidence, Cause.OUT_OF_MEMORY, message, ended_by=signal_name(code), oom="yes")
    if code != 128 + signal.SIGKILL:
        return None
    peak = evidence.memory_peak or 0
    if peak >= _NEAR_LIMIT * evidence.memory:
        found = f"it probably exceeded its memory limit of {limit}, of which it used {format_bytes(peak)}"
    elif evidence.host_oom:
        found = "the memory of this machine was full, and the kernel killed a process to free some"
    else:
        return None
    message = f"the task was killed by SIGKILL, which localrun did not send; {found} (exit code {code})"
    return _diagnosis(evidence, Cause.OUT_OF_MEMORY, message, ended_by="SIGKILL", oom="suspected")


def _disk_full(evidence: Evidence) -> Diagnosis | None:
    found = _NO_SPACE.search(evidence.log)
    if found is None:
        return None
    message = f"a disk was full while the task ran: {found[0].strip()!r} (exit code {evidence.exit.code})"
    return _diagnosis(evidence, Cause.DISK_FULL, message)


def _ended_by_signal(evidence: Evidence) -> Diagnosis | None:
    name = signal_name(evidence.exit.code)
    if name is None:
        return None
    message = f"the task was ended by {name} (exit code {evidence.exit.code})"
    message += _SENDERS.get(name, "")
    return _diagnosis(evidence, Cause.SIGNAL, message, ended_by=name)


def _run_by_shell(evidence: Evidence) -> Diagnosis | None:
    garbled = evidence.exit.code in _SHELL_CODES and "ELF" in evidence.log
    return _invalid_program(evidence) if garbled else None


def _dataset_remedy(log: str) -> str:
    if "/iexec_in/" not in log:
        return ""
    from localrun.platforms import iexec

    return iexec.dataset_remedy(log)


def _failed(evidence: Evidence) -> Diagnosis:
    code = evidence.exit.code
    message = f"the task failed with exit code {code}{_CODES.get(code, '')}"
    found = _diagnosis(evidence, Cause.EXIT_NONZERO, message)
    remedy = _dataset_remedy(evidence.log) or program_remedy(evidence.log)
    if not evidence.log.strip():
        remedy = _SILENT
    return replace(found, remedy=remedy) if remedy else found


def _succeeded(evidence: Evidence) -> Diagnosis:
    if not evidence.exit.oom_killed:
        return Diagnosis(None)
    killed = f"a process of the task was killed for lack of memory (limit {format_bytes(evidence.memory)})"
    return Diagnosis(None, oom="yes", warning=f"{killed}, but the task exited with 0")


def signal_name(code: int) -> str | None:
    """Return the name of the signal that an exit code stands for (128 + its number), or None."""
    try:
        return signal.Signals(code - 128).name if code > 128 else None
    except ValueError:
        return None
