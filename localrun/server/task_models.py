"""The models of a task in the OpenAPI document: as a client submits it, and as the server describes it.

Submissions are validated by `manager.payload`, with its messages, and responses are encoded without models.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue

Json = dict[str, Any]
Size = int | str


class OpenModel(BaseModel):
    """An object that may have additional keys."""

    model_config = ConfigDict(extra="allow")


class RequestedResources(BaseModel):
    """Limits that replace those of the descriptor."""

    cpus: float | None = None
    memory: Size | None = Field(None, description="Bytes, or e.g. `2Gi`; also as `ram`.")
    gpus: int | None = None


class TaskOptions(BaseModel):
    """The options of every task that runs in a container."""

    resources: RequestedResources | None = None
    timeout: float | str | None = Field(None, description="Seconds, or e.g. `10m`.")
    network: bool | None = None
    hardened: bool | None = None
    writable_inputs: bool | None = None
    copy_inputs: bool | None = None
    platform: str | None = Field(None, description="The platform of the image, e.g. `linux/arm64`.")
    retries: int | None = None
    replicas: int | None = None
    agree: int | None = None
    metadata: Json | None = Field(None, description="Your own JSON values by key.")


class BundleTask(TaskOptions):
    """A task that runs a bundle. The options of its build are for a bundle with a Dockerfile."""

    bundle: str = Field(description="A path below `--bundles`, or `namespace:version`.")
    inputs: Json | str | None = Field(None, description="Values by name, or the path of a folder with them.")
    image: str | None = Field(None, description="An image that replaces the bundle's own.")
    build_args: dict[str, str] | None = None
    dockerfile: str | None = None
    context: str | None = None
    target: str | None = None
    build_contexts: dict[str, str] | None = None


class ImageTask(TaskOptions):
    """A task that runs an image."""

    image: str
    command: list[str] | None = None
    env: dict[str, str] | None = None
    inputs: Json | None = None
    outputs: dict[str, Any] | None = Field(None, description="Types by name, e.g. `integer`.")


class IexecTask(TaskOptions):
    """A task that runs an iExec app, from a `bundle` or an `image`."""

    profile: Literal["iexec"]
    bundle: str | None = None
    image: str | None = None
    args: str | None = None
    input_files: list[str] | None = None
    datasets: list[str] | None = None
    secrets: dict[str, str] | None = Field(None, description="Secrets by number.")
    app_secret: str | None = None
    callback: bool | None = None


class ManualTask(OpenModel):
    """Any other object: a task without a container, which stays active until it is completed."""


class DescribedAs:
    """Gives a value the JSON Schema of another type, without validating it as such."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def __get_pydantic_json_schema__(self, _: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(TypeAdapter(self._kind).core_schema)


TASK = DescribedAs(BundleTask | IexecTask | ImageTask | ManualTask)


class TaskEntry(OpenModel):
    """A task in a list."""

    task_id: str
    task: Json = Field(description="The object that it was submitted as.")
    assigned_by: str
    timestamp: str = Field(description="The time of its creation.")
    state: str
    status: str = Field(description="The state as a word of the Task System.")
    metadata: Json = Field(default_factory=dict)
    step: str | None = None
    cause: str | None = Field(None, description="Why it did not finish, one word of a closed list.")
    message: str = ""
    replica_of: str | None = None


class StepEntry(OpenModel):
    """A step of a task."""

    name: str
    how: str
    message: str
    exit_code: int | None
    seconds: float | None


class StateEntry(OpenModel):
    """When a task entered a state."""

    state: str
    timestamp: str


class TaskDetails(TaskEntry):
    """A task with all details. Durations are in seconds, sizes in bytes."""

    remedy: str = Field("", description="What to do about the cause.")
    rerun_of: str | None = None
    batch: Json | None = Field(None, description="The row that it runs: the batch's `id`, `row` and `name`.")
    node: str | None = Field(None, description="The machine of a cluster that ran it.")
    name: str = ""
    bundle: str = ""
    image: str = ""
    exit_code: int | None = None
    inputs: Json = Field(default_factory=dict)
    missing: list[str] = Field(default_factory=list, description="The inputs that it waits for.")
    received: Json = Field(default_factory=dict, description="The inputs that it has, while it waits.")
    sources: Json = Field(default_factory=dict, description="The inputs that come from other tasks.")
    regions: Json = Field(default_factory=dict)
    crops: Json = Field(default_factory=dict)
    outputs: Json = Field(default_factory=dict)
    result: Any = Field(None, description="What a task without a container was completed with.")
    problems: list[Json] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    resources: Json | None = None
    usage: Json | None = None
    replica: Json | None = None
    replication: Json | None = None
    timeout: float | None = None
    steps: list[StepEntry] = Field(default_factory=list)
    timings: dict[str, float] = Field(default_factory=dict)
    history: list[StateEntry] = Field(default_factory=list)
    completed_at: str | None = None
    processing_time_ms: float | None = None
