"""The record of a task, as it is saved in `task.json` and returned to callers."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from localrun.settings.options import ProfileName, PullPolicy
from localrun.task.file_state import FileState
from localrun.task.frozen import Frozen
from localrun.task.states import StepName, TaskState
from localrun.undecodable import encode_record

OomEvidence = Literal["no", "suspected", "yes"]
TaskKind = Literal["container", "replicated", "manual"]
FORMAT: Literal[1] = 1
ImageOrigin = Literal["", "present", "loaded", "built", "pulled"]


def short_id(task_id: str) -> str:
    """Return the start of an id, as it is shown to users."""
    return task_id[:8]


class ProcessId(Frozen, frozen=True, kw_only=True):
    """The identity of a process. A pid alone is not unique over time.

    `started` is in seconds since boot; `boot` names the boot and the pid namespace. See `task/process.py`.
    """

    host: str
    pid: int
    started: float
    boot: str = ""


class Resources(Frozen, frozen=True, kw_only=True):
    """The resources that a task requests: CPUs (also fractions), memory in bytes, GPUs."""

    cpus: float = 1.0
    memory: int = 4 * 1024**3
    gpus: int = 0


class BindMount(Frozen, frozen=True, kw_only=True):
    """An absolute path of this machine that a task gets in place of one of its image."""

    source: str
    target: str
    read_only: bool = True

    @property
    def mode(self) -> str:
        """`ro` or `rw`."""
        return "ro" if self.read_only else "rw"

    def __str__(self) -> str:
        """Return `SRC:DST` or `SRC:DST:rw`, as the option is written."""
        return f"{self.source}:{self.target}" + ("" if self.read_only else ":rw")


class StoredOptions(Frozen, frozen=True, kw_only=True):
    """The options of a run that its plan keeps; see `RunOptions` for all.

    `image` replaces the bundle's own. `platform` is that of the image, e.g. `linux/arm64`; empty: the
    engine's. `copy_inputs` copies input files that would be mounted. `bind_mounts` are mounted over paths of
    the image. A detached task
    outlives the process that submitted it. A task that lost its container runs again up to `retries` times.
    Each of multiple `replicas` is a task with its own container, and `agree` of them must give the same
    result. `profile` selects the rules for outputs; with `callback`, the result of an iExec app is for a
    contract.
    """

    image: str | None = None
    build_args: dict[str, str] = msgspec.field(default_factory=dict)
    dockerfile: str = ""
    context: str = ""
    target: str = ""
    build_contexts: dict[str, str] = msgspec.field(default_factory=dict)
    build_secret_ids: list[str] = msgspec.field(default_factory=list)
    pull: PullPolicy = "missing"
    platform: str = ""
    command: list[str] | None = None
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    writable_inputs: bool = False
    copy_inputs: bool = False
    bind_mounts: list[BindMount] = msgspec.field(default_factory=list)
    hardened: bool = False
    detached: bool = False
    retries: int = 0
    hostname: str = ""
    replicas: int = 1
    agree: int | None = None
    profile: ProfileName = "bundle"
    callback: bool = False


# the fields of `StoredOptions` for the build of a folder
BUILD_OPTIONS = ("build_args", "dockerfile", "context", "target", "build_contexts", "build_secret_ids")


class RunPlan(StoredOptions, frozen=True, kw_only=True, rename={"secret_names": "hidden"}):
    """The configuration of a task's container, complete enough for another process to resume the task.

    `bundle` is the path that it was read from. `mounts` are mounted input files: (file, path below the input
    folder), and `mount_states` what these were when the task was submitted, by that path. Folders are paths
    in the container. `values` are stored for a task that may wait for further inputs. `secret_names` are
    environment variables whose values are stored elsewhere until the task ends. A `held` task starts on
    request only, whether its inputs are complete or not. `contents` are the digests of what is not in the
    record: of the files of inputs and mounts, and of secrets with a key; see `task/fingerprint.py`. None:
    they are not known, so the result of the task is never reused.
    """

    bundle: str = ""
    input_folder: str = "/inputs"
    output_folder: str = "/outputs"
    mounts: list[tuple[str, str]] = msgspec.field(default_factory=list)
    mount_states: dict[str, FileState] = msgspec.field(default_factory=dict)
    pids: int = 4096
    values: dict[str, Any] = msgspec.field(default_factory=dict)
    agree: int = 1
    secret_names: list[str] = msgspec.field(default_factory=list)
    held: bool = False
    contents: dict[str, str] | None = None


_NO_PLAN = RunPlan()


class StepRecord(Frozen, frozen=True, kw_only=True):
    """A step of a run: how it was done, when (seconds since 1970), and its exit code."""

    name: StepName
    how: str = ""
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    message: str = ""
    log: str | None = None  # path below the task's folder

    @property
    def seconds(self) -> float | None:
        return None if self.started is None or self.finished is None else self.finished - self.started


class UsageRecord(Frozen, frozen=True, kw_only=True):
    """The resource usage of a task's container, from `samples`: sizes in bytes, times in seconds.

    A control group of this machine is read from the start, ten times a second for the first ten seconds and
    once a second after that. Without one, the engine is asked once a second. `memory_peak` is the highest
    sample of memory that the kernel cannot reclaim. `memory_most` is the kernel's own high-water mark, if
    available; it includes cached file contents. Usage after the last sample is not included.
    """

    samples: int
    cpu_seconds: float
    memory_peak: int
    memory_most: int | None
    read_bytes: int
    written_bytes: int
    processes: int


class Replica(Frozen, frozen=True, kw_only=True, rename={"parent_id": "of"}):
    """The number of a replica, from 1, its parent task, and the properties varied on purpose."""

    parent_id: str
    number: int
    varied: dict[str, str] = msgspec.field(default_factory=dict)


class ReplicaGroup(Frozen, frozen=True, kw_only=True):
    """Replicas with the same result: their numbers, and the digest of the result."""

    replicas: list[int]
    digest: str


class Variant(Frozen, frozen=True, kw_only=True):
    """One of the different contents of an output file: `size` in bytes, None if there is no file.

    `value` is the content at the first difference, truncated, as text or as hexadecimal digits.
    """

    replicas: list[int]
    kind: str = "file"
    size: int | None = None
    value: str = ""


class Disagreement(Frozen, frozen=True, kw_only=True, rename={"variants": "sides"}):
    """An output file that is not the same in all replicas, and its first difference.

    `offset` counts bytes from 0, `line` and `column` from 1 (0: not a text). `hints` are likely causes.
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
    """The replicas of a task: the ids of their tasks in order, and the result of the comparison.

    The largest group comes first. `failed` maps replicas without a result to their cause. `varied` holds the
    value of each varied property for each replica. `unvaried` holds properties that could not be varied,
    because the image or the task sets them. `reached` is the time of the agreement.
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


class Crop(Frozen, frozen=True, kw_only=True):
    """How an image input was cut out of a larger image.

    `file` is the whole image and `geometry` the annotation in its coordinates. GeoJSON counts y upwards from
    the bottom left: `offset` is the lower left corner of the crop in the whole image, so a coordinate of the
    crop plus `offset` is one of the whole image. `size` and `image_size` are width and height in pixels.
    """

    file: str
    geometry: dict[str, Any]
    offset: tuple[int, int]
    size: tuple[int, int]
    image_size: tuple[int, int]


class BatchRow(Frozen, frozen=True, kw_only=True):
    """The row of a batch that a task runs: the id of the batch, the row's number from 1, and its name."""

    id: str
    row: int
    name: str = ""


class InputSource(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """Where an input came from: an `output` of another `task`, or a `url` without credentials."""

    task: str = ""
    output: str = ""
    url: str = ""
    sha256: str = ""  # of the content of the URL, in hexadecimal digits

    def __str__(self) -> str:
        """Return it as it is shown after `from`."""
        return self.url or f"task {short_id(self.task)}/{self.output}"


_ADDED = (  # later
    *("missing", "received", "sources", "regions", "crops", "engine"),
    *("platform", "gpu_devices", "unenforced", "rerun_of", "batch", "node"),
)


class TaskRecord(Frozen, frozen=True, kw_only=True, rename={"final_state": "ending"}):
    """A submitted task. Times are seconds since 1970 (UTC), durations seconds, sizes bytes.

    A task without a plan is a manual task: it has no container, and a client completes it. `submitted` is the
    JSON object that it was created from, `result` the one that it was completed with. `regions` are the
    geometries next to image inputs, in the coordinates of the image that the task gets, and `crops` those of
    them that were cut out here. Their keys are `image`, or `images/0` for an item of an array. `missing` are
    the inputs that a task waits for, and `received` the ones that it has, for display. The keys of `sources`
    are as those of `regions`, and `image.geojson` for a region.
    """

    format: Literal[1] = FORMAT  # of the record: changed if old programs cannot read it
    id: str  # the whole id
    bundle: str  # the bundle as it was named, or the image
    name: str = ""  # the name in the descriptor
    image: str = ""  # the engine's id of the image, never a tag
    image_name: str = ""  # the image's name in the bundle
    platform: str = ""  # of the image, e.g. linux/arm64
    image_from: ImageOrigin = ""  # how the engine got it; empty: not known yet
    program: list[str] = msgspec.field(default_factory=list)  # entrypoint and command, once known
    state: TaskState = TaskState.CREATED  # where it is; the last three are final
    final_state: TaskState | None = None  # set before the clean-up; `state` follows after it
    step: StepName | None = None  # the step that runs
    cause: str | None = None  # why it did not finish: one word of a closed list
    message: str = ""  # what happened, as a sentence
    remedy: str = ""  # what to do about it
    exit_code: int | None = None  # of the program, once it has ended
    signal: str | None = None  # the signal that ended the program
    oom: OomEvidence = "no"  # whether the kernel ended it for its memory
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)  # values by name; files are paths
    missing: list[str] = msgspec.field(default_factory=list)  # the inputs that it waits for
    received: dict[str, Any] = msgspec.field(default_factory=dict)  # the inputs that it has while it waits
    sources: dict[str, InputSource] = msgspec.field(default_factory=dict)  # inputs from other tasks and URLs
    regions: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)  # geometries next to images
    crops: dict[str, Crop] = msgspec.field(default_factory=dict)  # how images were cut out
    outputs: dict[str, Any] = msgspec.field(default_factory=dict)  # valid outputs by name; files are paths
    problems: list[dict[str, Any]] = msgspec.field(default_factory=list)  # each with path, message, remedy
    warnings: list[str] = msgspec.field(default_factory=list)  # what may fail on the platform
    steps: list[StepRecord] = msgspec.field(default_factory=list)  # how each step was done, in order
    timings: dict[str, float] = msgspec.field(default_factory=dict)  # seconds by operation
    history: list[tuple[TaskState, float]] = msgspec.field(default_factory=list)  # when it entered each state
    resources: Resources = msgspec.field(default_factory=Resources)  # what it requests
    network: bool = False  # whether it may use the network
    timeout: float | None = None  # the time limit of the program, in seconds
    usage: UsageRecord | None = None  # resource usage; None: it ended before the first sample
    engine: str = ""  # the address of the engine, once the task is queued
    container: str | None = None  # the engine's id of the container, while there is one
    gpu_devices: list[str] = msgspec.field(default_factory=list)  # what the container got of `resources.gpus`
    unenforced: list[str] = msgspec.field(default_factory=list)  # limits that the engine does not enforce
    remote: bool = False  # inputs and outputs are copied as archives
    owner: ProcessId | None = None  # the process that owns it
    plan: RunPlan | None = None  # the configuration of the container; None for a manual task
    replica: Replica | None = None  # its number, if it is a replica
    replication: Replication | None = None  # its replicas, and the comparison of their results
    rerun_of: str = ""  # the id of the task that it is a rerun of
    batch: BatchRow | None = None  # the row that it runs
    node: str = ""  # the machine that ran it; empty: this one
    assigned_by: str = ""  # the client that submitted it
    submitted: dict[str, Any] | None = None  # the JSON object that it was submitted as
    result: dict[str, Any] | None = None  # what a manual task was completed with
    folder: str = ""  # the folder with inputs, outputs, log and record

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; later additions to the format only if not empty."""
        plain = super().as_dict()
        return {key: value for key, value in plain.items() if value or key not in _ADDED}

    def to_json(self) -> bytes:
        return encode_record(self.as_dict())

    @property
    def short_id(self) -> str:
        return short_id(self.id)

    @property
    def kind(self) -> TaskKind:
        """The kind: run in a container, in replicas with a container each, or completed by a client."""
        if self.plan is None:
            return "manual"
        return "replicated" if self.plan.replicas > 1 else "container"

    @property
    def run_plan(self) -> RunPlan:
        """The plan of the task; an empty one for a manual task."""
        return self.plan or _NO_PLAN

    @property
    def created(self) -> float:
        """The time of its submission."""
        return self.history[0][1] if self.history else 0.0

    @property
    def ended(self) -> float | None:
        """The time of its end; None if it has not ended."""
        return self.history[-1][1] if self.history and self.state.is_final else None

    @property
    def duration(self) -> float | None:
        """Seconds that the program of an ended task ran, by the engine's clock, if it ran."""
        step = next((step for step in self.steps if step.name is StepName.TASK), None)
        return step.seconds if step is not None and self.state.is_final else None

    @property
    def waiting_for(self) -> str:
        """What an active task waits for before it is queued: inputs, or its start; else an empty string."""
        if self.missing and not self.state.is_final:
            return f"inputs: {', '.join(self.missing)}"
        is_held = self.run_plan.held and self.state in (TaskState.CREATED, TaskState.PROVISIONED)
        return "a request to start it" if is_held else ""

    @property
    def source_rows(self) -> list[str]:
        """A line for each input that comes from elsewhere, such as `mask: from task 1a2b3c4d/mask`."""
        return [f"{place}: from {source}" for place, source in self.sources.items()]

    @property
    def needs(self) -> list[InputSource]:
        """The outputs of other tasks that an active task still has to wait for."""
        pairs = () if self.state.is_final else self.sources.items()
        waits = [(re.split(r"[/.]", place)[0], source) for place, source in pairs if source.task]
        return [source for name, source in waits if name not in self.inputs]

    def seconds_until(self, now: float) -> float:
        """Return how long an ended task ran, or how long ago another one was created.

        `now` is in seconds since 1970. The time that a process took to look at an ended container is not part
        of the duration.
        """
        ended = now if self.ended is None else self.ended
        return max(ended - self.created, 0.0) if self.duration is None else self.duration
