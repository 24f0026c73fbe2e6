"""The closed list of causes of failure, who has to fix each, and the exceptions of localrun.

Every error message has the name and the value concerned; `remedy` says how to fix it.
"""

from __future__ import annotations

import errno
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, ClassVar, TypeVar

MOST_PROBLEMS = 200  # that one error lists
MOST_ALIKE = 5  # problems of one kind
_INDEX = r"(?:(?<=[/.\[])|(?<=^row ))\d+(?=$|[/.,\]])"  # of an item or a row: xs/3, xs.3, xs[3]
_VALUE = r"'[^']*'|\"[^\"]*\"|-?\d[\d.,]*"
_NO_MEMORY = r"(?i)cannot allocate memory|failed to map segment"

T = TypeVar("T")


class Fault(StrEnum):
    """Who has to fix it: the user, the author of the task, or the administrator of the host."""

    USER = "user"
    TASK = "task"
    HOST = "host"


class Cause(Enum):
    """The reason why a task ended, from a closed list. `task.causes` explains each."""

    fault: Fault

    BUNDLE_INVALID = ("BUNDLE_INVALID", Fault.USER)
    DESCRIPTOR_INVALID = ("DESCRIPTOR_INVALID", Fault.USER)
    INPUTS_INVALID = ("INPUTS_INVALID", Fault.USER)
    DATASET_CHECKSUM = ("DATASET_CHECKSUM", Fault.USER)
    DEPENDENCY_FAILED = ("DEPENDENCY_FAILED", Fault.USER)
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
        """Use the word as the value: `Cause("TIMEOUT")` returns the member."""
        member = object.__new__(cls)
        member._value_ = word
        member.fault = fault
        return member

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: its place (file, line and column from 1, path), a message and a remedy.

    `source` is the text of the line, for display.
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
        """The known parts of the place, e.g. `descriptor.yml:14:5 inputs.threshold.type`."""
        place = self.file
        if place and self.line:
            place += f":{self.line}:{self.column}" if self.column else f":{self.line}"
        return " ".join(part for part in (place, self.path) if part)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}; {self.remedy}" if self.remedy else text

    def as_dict(self) -> dict[str, Any]:
        """Return the problem as a dict for JSON, without empty fields and without `source`."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "source"}
        return {name: value for name, value in fields.items() if value}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Problem:
        """Return the problem of a dict that `as_dict` has returned."""
        return cls(**{"path": "", **fields})

    @property
    def kind(self) -> tuple[str, str, str]:
        """What it has in common with problems of other items of an array, and of other values."""
        return self.file, re.sub(_INDEX, "#", self.path), re.sub(_VALUE, "#", self.message)


def fold_alike(items: Iterable[T], kind: Callable[[T], Hashable]) -> Iterator[T | str]:
    """Yield the first `MOST_ALIKE` items of each kind; after the last of them, how many more there are."""
    found = list(items)
    kinds = [kind(item) for item in found]
    counts, seen = Counter(kinds), Counter[Hashable]()
    for item, its_kind in zip(found, kinds, strict=True):
        seen[its_kind] += 1
        if seen[its_kind] <= MOST_ALIKE:
            yield item
        if seen[its_kind] == MOST_ALIKE < counts[its_kind]:
            yield f"and {counts[its_kind] - MOST_ALIKE:,} more like this"


def in_outputs(paths: Sequence[str]) -> str:
    """Return e.g. ` in 1 output` for many items of outputs, which are not outputs themselves; else empty."""
    names = {re.split(r"[./\[]", path, maxsplit=2)[1] for path in paths if path.startswith("outputs.")}
    if not names or len(names) == len(paths) or len(paths) <= MOST_ALIKE:
        return ""
    return f" in {len(names)} output" + ("" if len(names) == 1 else "s")


def fold(problems: Sequence[Problem], noun: str = "problem") -> tuple[Problem, ...]:
    """Return at most `MOST_ALIKE` problems of a kind and `MOST_PROBLEMS` in all, and how many more there are.

    A hostile file has as many problems as it has values.
    """
    folded = [
        one if isinstance(one, Problem) else Problem("", one)
        for one in fold_alike(problems, lambda problem: problem.kind)
    ]
    if len(folded) <= MOST_PROBLEMS + 1:
        return tuple(folded)
    more = len(folded) - MOST_PROBLEMS
    return (*folded[:MOST_PROBLEMS], Problem("", f"{more} more {noun}s are not listed"))


class LocalrunError(Exception):
    """The base class of all errors of localrun.

    `facts` has the values of the message in machine-readable form. `problems` lists every problem, for errors
    that report more than one; more than `MOST_PROBLEMS` are counted.
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
        self.problems = fold(problems)
        self.facts = facts

    @property
    def fault(self) -> Fault:
        """Who has to fix it."""
        return self.cause.fault

    def __str__(self) -> str:
        head = f"{self.message}\n  hint: {self.remedy}" if self.remedy else self.message
        return "\n".join([head, *(f"  - {problem}" for problem in self.problems)])


class BundleError(LocalrunError):
    """The bundle is invalid or unsafe to read."""

    default_cause = Cause.BUNDLE_INVALID


class DescriptorError(LocalrunError):
    """The descriptor is invalid; `problems` lists every problem, and `warnings` those of a valid one."""

    default_cause = Cause.DESCRIPTOR_INVALID
    warnings: Sequence[Problem] = ()


class InputsError(LocalrunError):
    """The inputs do not match the descriptor; `problems` lists every problem."""

    default_cause = Cause.INPUTS_INVALID


class DependencyFailed(LocalrunError):
    """An output of another task will not come, or does not match the input that it should be."""

    default_cause = Cause.DEPENDENCY_FAILED


class OutputsError(LocalrunError):
    """The outputs do not match the descriptor; `problems` lists every problem."""

    default_cause = Cause.OUTPUTS_INVALID


class NoConsensus(LocalrunError):
    """Too few replicas of a task produced the same outputs; `problems` lists the files that differ."""

    default_cause = Cause.NO_CONSENSUS


class ImageError(LocalrunError):
    """The image is invalid, missing, built for another platform, or cannot be built or pulled."""

    default_cause = Cause.IMAGE_INVALID


class AdmissionError(LocalrunError):
    """The task requests more resources than this machine has."""

    default_cause = Cause.MEMORY_UNAVAILABLE


class EngineError(LocalrunError):
    """A request to the container engine failed."""

    default_cause = Cause.ENGINE_FAILED


class EngineUnreachable(EngineError):
    """The container engine does not respond."""

    default_cause = Cause.ENGINE_UNREACHABLE


class OtherEngine(EngineUnreachable):
    """The task belongs to another engine than the one that this process uses."""


class ContainerGone(EngineError):
    """The container does not exist (any more)."""


class ContainerFileMissing(EngineError):
    """The container has no such file or folder."""


class MountUnavailable(EngineError):
    """The engine cannot access a host path to mount: it does not share this machine's file system."""


class TaskKilled(LocalrunError):
    """The task was killed on request."""

    default_cause = Cause.KILLED


class UsageError(LocalrunError):
    """The command or call is invalid: an option, an id, a name."""

    default_cause = Cause.INPUTS_INVALID


class TaskNotFound(UsageError):
    """No task has this id, or the prefix is ambiguous."""


class TaskExists(UsageError):
    """A different task with this id already exists."""


class RequestRefused(LocalrunError):
    """A server refused a request. `status` is that of HTTP; 0 if the server cannot be reached."""

    default_cause = Cause.INPUTS_INVALID

    def __init__(self, message: str, *, status: int, **details: Any) -> None:
        super().__init__(message, status=status, **details)
        self.status = status


class ShuttingDown(UsageError):
    """The process is shutting down and accepts no more tasks."""


class IllegalTransition(LocalrunError):
    """An invalid change of a task's state, which is a bug in localrun."""


def missing_package(error: ImportError, python: str, remedy: str) -> str:
    """Return the error message for a package that this Python does not have.

    Raises the error again if it is a bug of localrun.
    """
    package = (error.name or "").partition(".")[0]
    if package in ("", "localrun"):
        raise error
    return f"error: the package {package} is not installed for {python}; {remedy}"


def out_of_memory(error: BaseException) -> LocalrunError | None:
    """Return an error if an exception means that this process got no more memory, else None.

    The limit may be that of the shell (`ulimit -v`), of a control group or of the machine. Depending on what
    needed the memory, Python raises different exceptions.
    """
    text = str(error)
    if not (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and "start new thread" in text)
        or (isinstance(error, ImportError) and re.search(_NO_MEMORY, text))
        # an import in C code that runs out of memory
        or (isinstance(error, SystemError) and "without exception set" in text)
    ):
        return None
    return LocalrunError(
        "not enough memory for localrun",
        remedy="raise the limit of this shell (`ulimit -v unlimited`), or free memory",
        cause=Cause.MEMORY_UNAVAILABLE,
    )


def internal_error(error: BaseException, traceback: str) -> LocalrunError:
    """Return the error for a bug of localrun; `traceback` is the file that has it, or its text."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    remedy = f"this is a bug in localrun; please report it with {traceback}"
    return LocalrunError(f"localrun itself failed: {what}", remedy=remedy)
