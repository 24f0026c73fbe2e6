"""The snapshot of a task that is written to disk and shown to callers."""

from __future__ import annotations

import threading
from typing import Any, Literal, Self

import msgspec

from localrun.task.states import StepName, TaskState

ProfileName = Literal["bundle", "iexec"]
OomEvidence = Literal["no", "suspected", "yes"]
TaskKind = Literal["container", "replicated", "manual"]
ImageOrigin = Literal["", "present", "loaded", "built", "pulled"]


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """Data that is checked when it is read.

    By msgspec: importing it costs 15 ms where pydantic costs 100, half of what a small task takes.
    """

    def replace(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return msgspec.structs.replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_json(self) -> bytes:
        """As JSON text, in UTF-8."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read `to_json` back. Raises ValueError when the text does not fit."""
        found: Self = decoder(cls).decode(text)
        return found


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_making = threading.Lock()


def decoder(form: Any) -> msgspec.json.Decoder[Any]:
    """What reads JSON as `form`, made once.

    One at a time, since two threads that look into the same structs for the first time at once end the
    process: what msgspec (0.22) finds out of a struct is written into it without a lock.
    """
    found = _decoders.get(form)
    if found is None:
        with _making:
            found = _decoders.setdefault(form, msgspec.json.Decoder(form))
    return found


def short_id(task_id: str) -> str:
    """Return the start of an id, as it is shown to users."""
    return task_id[:8]


class ProcessId(Frozen, frozen=True, kw_only=True):
    """The process that carries a task: a pid means one process only together with its start time.

    `started` is in seconds since the boot; `boot` names the boot and the pid namespace; see `owners`.
    """

    host: str
    pid: int
    started: float
    boot: str = ""


class Resources(Frozen, frozen=True, kw_only=True):
    """What a task asks for: whole or part cpus, memory in bytes, gpus."""

    cpus: float = 1.0
    memory: int = 4 * 1024**3
    gpus: int = 0


class RunPlan(Frozen, frozen=True, kw_only=True, rename={"secret_names": "hidden"}):
    """How a task's container is made; enough for another process to go on with it.

    `bundle` is the path that it was read from, `image` the name that was asked for in place of its own;
    `mounts` are a user's own files: (file, place below the input folder). Folders are paths in the
    container. A detached task goes on when the process that submitted it ends.
    `values` are kept for a task that may wait for more of them. A task with more than one of `replicas`
    has no container of its own: each of them has one. `agree` of them must give the same.
    `hidden` names variables of the environment whose values are secret, and kept elsewhere until the end.
    `callback`: the result of an iExec app is for a contract.
    """

    bundle: str = ""
    image: str | None = None
    build_args: dict[str, str] = msgspec.field(default_factory=dict)
    pull: Literal["never", "missing", "always"] = "missing"
    input_folder: str = "/inputs"
    output_folder: str = "/outputs"
    mounts: list[tuple[str, str]] = msgspec.field(default_factory=list)
    command: list[str] | None = None
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    writable_inputs: bool = False
    hardened: bool = False
    pids: int = 4096
    detached: bool = False
    retries: int = 0
    values: dict[str, Any] = msgspec.field(default_factory=dict)
    hostname: str = ""
    replicas: int = 1
    agree: int = 1
    profile: ProfileName = "bundle"
    callback: bool = False
    secret_names: list[str] = msgspec.field(default_factory=list)


_NO_PLAN = RunPlan()


class StepRecord(Frozen, frozen=True, kw_only=True):
    """One step of a run: how it was done, when (seconds since 1970), and how it ended."""

    name: StepName
    how: str = ""
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    message: str = ""
    log: str | None = None  # path below the task's folder

    @property
    def seconds(self) -> float | None:
        """How long it took, once it has ended."""
        return None if self.started is None or self.finished is None else self.finished - self.started


class UsageRecord(Frozen, frozen=True, kw_only=True):
    """What a task's container used, as it was seen once a second: sizes in bytes, times in seconds.

    `memory_peak` is the most that was seen of what the kernel could not have dropped; `memory_most` the
    kernel's own highest mark, if it keeps one, where the cached content of files counts too. What comes
    after the last sample is in none of them.
    """

    samples: int
    cpu_seconds: float
    memory_peak: int
    memory_most: int | None
    read_bytes: int
    written_bytes: int
    processes: int


class Replica(Frozen, frozen=True, kw_only=True, rename={"parent_id": "of"}):
    """Which of the executions of a task this one is, from 1, and what is different for it on purpose."""

    parent_id: str
    number: int
    varied: dict[str, str] = msgspec.field(default_factory=dict)


class ReplicaGroup(Frozen, frozen=True, kw_only=True):
    """Replicas that gave the same: their numbers, and the digest of what they gave."""

    replicas: list[int]
    digest: str


class Variant(Frozen, frozen=True, kw_only=True):
    """What some replicas gave where others gave something else; `size` in bytes, None for no file.

    `value` is what stands there, cut short, as text or as the hexadecimal digits of bytes.
    """

    replicas: list[int]
    kind: str = "file"
    size: int | None = None
    value: str = ""


class Disagreement(Frozen, frozen=True, kw_only=True, rename={"variants": "sides"}):
    """One output file that is not the same in all replicas, and the first place where it is not.

    `offset` counts bytes from 0, `line` and `column` from 1 (0: no text). `hints` say what it looks like.
    """

    path: str
    variants: list[Variant]
    offset: int | None = None
    line: int = 0
    column: int = 0
    hints: list[str] = msgspec.field(default_factory=list)


class Replication(
    Frozen, frozen=True, kw_only=True, rename={"failed": "without", "omitted": "left_out", "unvaried": "kept"}
):
    """The replicas of a task: the ids of their tasks in order, and what came of comparing them.

    The heaviest group comes first. `without` are those that gave nothing, each with its cause; `varied`
    holds for each thing that was varied what each replica had; `kept` what could have been varied and was
    not, since the image or the task sets it; `reached` is when they agreed.
    """

    ids: list[str]
    agree: int
    groups: list[ReplicaGroup] = msgspec.field(default_factory=list)
    failed: dict[str, str] = msgspec.field(default_factory=dict)
    disagreements: list[Disagreement] = msgspec.field(default_factory=list)
    omitted: int = 0  # further files that differ
    varied: dict[str, list[str]] = msgspec.field(default_factory=dict)
    unvaried: dict[str, str] = msgspec.field(default_factory=dict)
    reached: float | None = None


class TaskRecord(Frozen, frozen=True, kw_only=True, rename={"final_state": "ending"}):
    """One submitted unit of work. Times are seconds since 1970 (UTC), durations seconds, sizes bytes.

    A task without a plan has no container: whoever submitted it completes it. `submitted` is the object
    that it was made of, `result` the one that it was completed with.
    """

    id: str
    bundle: str
    name: str = ""
    image: str = ""  # the engine's id of the image, never a tag
    image_name: str = ""  # what the bundle calls it, for people
    image_from: ImageOrigin = ""  # how the engine came by it; empty: not known (yet)
    program: list[str] = msgspec.field(default_factory=list)  # entrypoint and command, once they are known
    state: TaskState = TaskState.CREATED
    final_state: TaskState | None = None  # decided; what is left to do is to clear up
    step: StepName | None = None
    cause: str | None = None
    message: str = ""
    remedy: str = ""
    exit_code: int | None = None
    signal: str | None = None
    oom: OomEvidence = "no"
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)
    outputs: dict[str, Any] = msgspec.field(default_factory=dict)
    problems: list[dict[str, Any]] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)
    steps: list[StepRecord] = msgspec.field(default_factory=list)
    timings: dict[str, float] = msgspec.field(default_factory=dict)
    history: list[tuple[TaskState, float]] = msgspec.field(default_factory=list)
    resources: Resources = msgspec.field(default_factory=Resources)
    network: bool = False
    timeout: float | None = None
    usage: UsageRecord | None = None  # none: it ended before it could be measured
    container: str | None = None
    remote: bool = False  # inputs and outputs travel as archives
    owner: ProcessId | None = None
    plan: RunPlan | None = None
    replica: Replica | None = None
    replication: Replication | None = None
    assigned_by: str = ""
    submitted: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    folder: str = ""

    @property
    def short_id(self) -> str:
        """The start of the id, as it is shown to users."""
        return short_id(self.id)

    @property
    def kind(self) -> TaskKind:
        """How the task is executed: in a container, in replicas with a container each, or by its client."""
        if self.plan is None:
            return "manual"
        return "replicated" if self.plan.replicas > 1 else "container"

    @property
    def run_plan(self) -> RunPlan:
        """The plan of the task; an empty one for a manual task."""
        return self.plan or _NO_PLAN

    @property
    def created_at(self) -> float:
        """When the task became known."""
        return self.history[0][1] if self.history else 0.0

    @property
    def ended_at(self) -> float | None:
        """When the task reached its end, if it has."""
        return self.history[-1][1] if self.history and self.state.is_final else None
