"""Why a program did not start: what lies in its container where it should be.

The kernel's own words mislead: of a script whose interpreter is missing they say that the script is.
"""

from __future__ import annotations

from dataclasses import replace

from localrun.descriptor import Descriptor
from localrun.engines.base import Engine, EngineImage, Exit, Handle
from localrun.errors import Cause, EngineError
from localrun.runner.diagnosis import Diagnosis

_OF_SHELLS = (2, 126, 127)  # a shell that was handed a program for another machine ends with one of these


def inspect_failed_start(
    engine: Engine,
    handle: Handle,
    *,
    image: EngineImage,
    command: list[str] | None,
    descriptor: Descriptor,
    exit_: Exit,
) -> Diagnosis | None:
    """What kept the program of an ended container from starting; None when nothing can be seen.

    `command` stands for the image's own when it is not None.
    """
    from localrun.bundle.validation import image_config, program
    from localrun.bundle.validation.container_files import ContainerFiles
    from localrun.bundle.validation.findings import Severity

    seen = image_config.from_engine(image, "")
    if command is not None:
        seen = replace(seen, command=tuple(command))
    try:
        findings = list(program.check(seen, descriptor, ContainerFiles(engine, handle)))
    except EngineError:  # the verdict stands without it
        return None
    found = next((finding.problem for finding in findings if finding.severity is Severity.ERROR), None)
    if found is None:
        return None
    message = f"the image's program could not be started: {found.message} (exit code {exit_.code})"
    return Diagnosis(Cause.ENTRYPOINT_INVALID, message, found.remedy)


def is_needed(verdict: Diagnosis, exit_: Exit, log: str) -> bool:
    """Whether a look into the container may tell more than the verdict."""
    garbled = verdict.cause is Cause.EXIT_NONZERO and exit_.code in _OF_SHELLS and "ELF" in log
    return garbled or verdict.cause is Cause.ENTRYPOINT_INVALID
