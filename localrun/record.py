"""The snapshot of a task that is written to disk and shown to callers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from localrun.states import StepName, TaskState

OomEvidence = Literal["no", "suspected", "yes"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Owner(_Frozen):
    """The process that carries a task: a pid means one process only together with its start time.

    `started` is in seconds since the boot; `boot` names the boot and the pid namespace; see `owners`.
    """

    host: str
    pid: int
    started: float
    boot: str = ""


class Resources(_Frozen):
    """What a task asks for: whole or part cpus, memory in bytes, gpus."""

    cpus: float = 1.0
    memory: int = 4 * 1024**3
    gpus: int = 0


class StepRecord(_Frozen):
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


class TaskRecord(_Frozen):
    """One submitted unit of work. Times are seconds since 1970 (UTC), durations seconds, sizes bytes."""

    id: str
    bundle: str
    name: str = ""
    image: str = ""  # the engine's id of the image, never a tag
    image_name: str = ""  # what the bundle calls it, for people
    state: TaskState = TaskState.CREATED
    step: StepName | None = None
    cause: str | None = None
    message: str = ""
    remedy: str = ""
    exit_code: int | None = None
    signal: str | None = None
    oom: OomEvidence = "no"
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    problems: list[dict[str, Any]] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    steps: list[StepRecord] = Field(default_factory=list)
    timings: dict[str, float] = Field(default_factory=dict)
    history: list[tuple[TaskState, float]] = Field(default_factory=list)
    resources: Resources = Resources()
    network: bool = False
    timeout: float | None = None
    container: str | None = None
    owner: Owner | None = None
    folder: str = ""

    @property
    def created(self) -> float:
        """When the task became known."""
        return self.history[0][1] if self.history else 0.0

    @property
    def ended(self) -> float | None:
        """When the task reached its end, if it has."""
        return self.history[-1][1] if self.history and self.state.is_end else None
