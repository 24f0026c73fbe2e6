"""What can go wrong: the closed list of causes, whose fault each is, and the errors that carry them.

Every error says what happened, to which name, with which value, and what to do about it. The class
docstrings read as a glossary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, ClassVar


class Fault(StrEnum):
    """Who has to act: the user who submitted, the author of the task, or the owner of the host."""

    USER = "user"
    TASK = "task"
    HOST = "host"


class Cause(Enum):
    """Why a task ended as it did, one word from a closed list; `causes` explains each."""

    fault: Fault

    BUNDLE_INVALID = ("BUNDLE_INVALID", Fault.USER)
    DESCRIPTOR_INVALID = ("DESCRIPTOR_INVALID", Fault.USER)
    INPUTS_INVALID = ("INPUTS_INVALID", Fault.USER)
    DATASET_CHECKSUM = ("DATASET_CHECKSUM", Fault.USER)
    IMAGE_INVALID = ("IMAGE_INVALID", Fault.USER)
    IMAGE_MISSING = ("IMAGE_MISSING", Fault.USER)
    IMAGE_PULL_FAILED = ("IMAGE_PULL_FAILED", Fault.USER)
    IMAGE_BUILD_FAILED = ("IMAGE_BUILD_FAILED", Fault.USER)
    IMAGE_PLATFORM = ("IMAGE_PLATFORM", Fault.USER)
    ENTRYPOINT_INVALID = ("ENTRYPOINT_INVALID", Fault.TASK)
    CPU_UNAVAILABLE = ("CPU_UNAVAILABLE", Fault.HOST)
    MEMORY_UNAVAILABLE = ("MEMORY_UNAVAILABLE", Fault.HOST)
    GPU_UNAVAILABLE = ("GPU_UNAVAILABLE", Fault.HOST)
    DISK_UNAVAILABLE = ("DISK_UNAVAILABLE", Fault.HOST)
    EXIT_NONZERO = ("EXIT_NONZERO", Fault.TASK)
    SIGNAL = ("SIGNAL", Fault.TASK)
    OUT_OF_MEMORY = ("OUT_OF_MEMORY", Fault.TASK)
    TIMEOUT = ("TIMEOUT", Fault.TASK)
    OUTPUTS_INVALID = ("OUTPUTS_INVALID", Fault.TASK)
    RESULT_NAME_TOO_LONG = ("RESULT_NAME_TOO_LONG", Fault.TASK)
    RESULT_NOT_PACKED = ("RESULT_NOT_PACKED", Fault.TASK)
    COMPUTED_FILE_MISSING = ("COMPUTED_FILE_MISSING", Fault.TASK)
    DIGEST_FAILED = ("DIGEST_FAILED", Fault.TASK)
    RESULT_TOO_LARGE = ("RESULT_TOO_LARGE", Fault.TASK)
    NO_CONSENSUS = ("NO_CONSENSUS", Fault.TASK)
    DISK_PRESSURE = ("DISK_PRESSURE", Fault.TASK)
    DISK_FULL = ("DISK_FULL", Fault.HOST)
    KILLED = ("KILLED", Fault.USER)
    RUNNER_TERMINATED = ("RUNNER_TERMINATED", Fault.HOST)
    ENGINE_UNREACHABLE = ("ENGINE_UNREACHABLE", Fault.HOST)
    ENGINE_LOST = ("ENGINE_LOST", Fault.HOST)
    ENGINE_FAILED = ("ENGINE_FAILED", Fault.HOST)
    INTERNAL = ("INTERNAL", Fault.HOST)

    def __new__(cls, word: str, fault: Fault) -> Cause:
        """Make the word the value, so that `Cause("TIMEOUT")` finds its member."""
        member = object.__new__(cls)
        member._value_ = word
        member.fault = fault
        return member

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (file, line and column from 1, path inside), what, and the remedy.

    `source` is the line of the file itself, for people who are shown it.
    """

    path: str
    message: str
    remedy: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    source: str = field(default="", compare=False)

    @property
    def where(self) -> str:
        """`descriptor.yml:14:5 inputs.threshold.type`, as far as it is known."""
        place = self.file
        if place and self.line:
            place += f":{self.line}:{self.column}"
        return " ".join(part for part in (place, self.path) if part)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}; {self.remedy}" if self.remedy else text

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready form; an unknown place is left out, and so is the line, which the file has."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "source"}
        return {name: value for name, value in fields.items() if value}


class LocalrunError(Exception):
    """Anything that localrun refuses or that goes wrong while it works.

    `facts` holds the values that the message was made of, for machines; `problems` everything that is
    wrong at once, for errors that collect.
    """

    default_cause: ClassVar[Cause] = Cause.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        cause: Cause | None = None,
        problems: Sequence[Problem] = (),
        **facts: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.cause = cause or self.default_cause
        self.problems = tuple(problems)
        self.facts = facts

    @property
    def fault(self) -> Fault:
        """Whose fault it is."""
        return self.cause.fault

    def __str__(self) -> str:
        head = f"{self.message}\n  hint: {self.remedy}" if self.remedy else self.message
        return "\n".join([head, *(f"  - {problem}" for problem in self.problems)])


class BundleError(LocalrunError):
    """The bundle cannot be read, or is not safe to read."""

    default_cause = Cause.BUNDLE_INVALID


class DescriptorError(LocalrunError):
    """The descriptor breaks its schema; `problems` names every place."""

    default_cause = Cause.DESCRIPTOR_INVALID


class InputsError(LocalrunError):
    """The values do not fit the descriptor; `problems` names every parameter."""

    default_cause = Cause.INPUTS_INVALID


class OutputsError(LocalrunError):
    """What the task left in its output folder does not fit the descriptor."""

    default_cause = Cause.OUTPUTS_INVALID


class NoConsensus(LocalrunError):
    """Too few replicas of a task gave the same; `problems` names each file that differs."""

    default_cause = Cause.NO_CONSENSUS


class ImageError(LocalrunError):
    """The image is broken, missing, for another machine, or cannot be built or pulled."""

    default_cause = Cause.IMAGE_INVALID


class AdmissionError(LocalrunError):
    """The task asks for more than this machine can ever give."""

    default_cause = Cause.MEMORY_UNAVAILABLE


class EngineError(LocalrunError):
    """The container engine refused a call or failed in it."""

    default_cause = Cause.ENGINE_FAILED


class EngineUnreachable(EngineError):
    """No container engine answers at the address."""

    default_cause = Cause.ENGINE_UNREACHABLE


class ContainerGone(EngineError):
    """The engine does not know the container (any more)."""


class MountUnavailable(EngineError):
    """The engine does not see the host path that was to be mounted: its files are not ours."""


class TaskKilled(LocalrunError):
    """Somebody asked for the task to be stopped."""

    default_cause = Cause.KILLED


class UsageError(LocalrunError):
    """The call itself is wrong: an option, an id, a name."""

    default_cause = Cause.INPUTS_INVALID


class TaskNotFound(UsageError):
    """No task has this id, or more than one id starts with it."""


class TaskExists(UsageError):
    """There is a task with this id already, and it is another one."""


class ShuttingDown(UsageError):
    """No more tasks are taken: the process ends."""


class IllegalTransition(LocalrunError):
    """A task was to enter a state that its present state does not lead to: a bug of localrun."""
