"""The models of requests and responses in the OpenAPI document.

Requests are validated with these models. Responses are encoded without them (see `json_response`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictStr

from localrun.server.task_models import TASK, Json, OpenModel, TaskDetails, TaskEntry

MAX_BATCH_SIZE = 1000  # tasks


class Submission(BaseModel):
    """A task to create."""

    task: Annotated[
        Json,
        TASK,
        Field(
            description=(
                "Any object. A task with a `bundle` (and `inputs`, `resources`, `timeout`; the inputs may be "
                "the path of a folder) or an `image` (and `command`, `env`, `inputs`, `outputs`) runs in a "
                "container, with `profile` `iexec` as an iExec app (with `args`, `input_files`, `datasets`, "
                "`secrets`). Other tasks are active until completed."
            ),
            examples=[{}, {"bundle": "samples/add-integers", "inputs": {"a": 3, "b": 4}}],
        ),
    ]
    assigned_by: Annotated[StrictStr, Field(description="The client that requests it.", examples=["ray"])]


class Batch(BaseModel):
    """Multiple independent tasks to create."""

    task: Annotated[list[Annotated[Json, TASK]], Field(min_length=1, max_length=MAX_BATCH_SIZE)]
    assigned_by: StrictStr


# with all of `TaskState`, in one list, so that an error has one list of what is expected
# fmt: off
StateFilter = Literal[
    "active", "ended", "all",
    "CREATED", "PROVISIONED", "QUEUING", "QUEUED", "PENDING", "RUNNING", "FINISHED", "FAILED", "KILLED",
]
# fmt: on


class TaskFilter(BaseModel):
    """The tasks to list."""

    state: StateFilter = Field("active", description="`active`, `ended`, `all` or a state.")
    assigned_by: str | None = Field(None, description="Only tasks requested by this client.")
    limit: int | None = Field(None, ge=1, le=100_000, description="Maximum number of tasks.")
    after: str | None = Field(None, description="Only tasks after the task with this id.")
    metadata: str | None = Field(
        None, max_length=1000, description="Only tasks whose metadata has this `KEY=VALUE`, or this `KEY`."
    )


class Completion(BaseModel):
    """The result of a manual task."""

    result: Json = Field(default_factory=dict, description="Any result data.")


class Health(OpenModel):
    """The health of the server."""

    status: Literal["alive", "ready"]
    timestamp: str


class HeartbeatRequest(OpenModel):
    """The heartbeat of a client."""

    action: StrictStr
    question: str | None = None
    current_position: Any = None


class TaskCreated(OpenModel):
    """A created task."""

    status: Literal["task_created"]
    task_id: str
    timestamp: str
    assigned_by: str
    task: Json
    message: str
    state: str
    reused: bool = Field(False, description="The id is that of a finished task, whose result is reused.")
    not_reused: list[str] = Field(default_factory=list, description="Why no result is reused, with `reuse`.")


class CreatedTask(OpenModel):
    """A created task of a batch."""

    task_id: str
    task: Json
    timestamp: str
    reused: bool = False


class FailedTask(OpenModel):
    """A rejected task of a batch."""

    task_index: int
    task_data: Json
    error: Any


class BatchProcessed(OpenModel):
    """A processed batch with its created and its rejected tasks."""

    status: Literal["batch_processed"]
    batch_id: str
    total_tasks: int
    created_count: int
    failed_count: int
    created_tasks: list[CreatedTask]
    failed_tasks: list[FailedTask]
    assigned_by: str
    timestamp: str
    message: str


class TaskList(OpenModel):
    """A list of tasks in order of creation."""

    status: Literal["success"]
    active_tasks_count: int
    active_tasks: list[TaskEntry]
    completed_tasks_count: int = 0
    completed_tasks: list[TaskEntry] = Field(default_factory=list)
    next: str | None = Field(None, description="With `limit`: the id for `after`; null if there are no more.")
    timestamp: str


class TaskResponse(OpenModel):
    """A task with all details."""

    status: Literal["success"]
    task: TaskDetails
    timestamp: str


class WaitResponse(TaskResponse):
    """A task, and whether it has ended."""

    ended: bool


class TaskCounts(OpenModel):
    """Numbers of tasks."""

    active_tasks_count: int
    completed_tasks_count: int
    total_tasks_processed: int


class Status(OpenModel):
    """The status of the task system."""

    status: Literal["operational"]
    task_manager: TaskCounts
    timestamp: str


class Heartbeat(OpenModel):
    """The heartbeat of the server."""

    type: Literal["heartbeat"]
    timestamp: str
    in_task: bool
    last_server_action: str | None
    status: Literal["alive"]


class HeartbeatResponse(OpenModel):
    """The response to a heartbeat."""

    status: str
    timestamp: str


class Outputs(OpenModel):
    """The outputs of a task: values and download paths of files."""

    task_id: str
    state: str
    outputs: Json
    files: Json


class BundleList(OpenModel):
    """The available bundles."""

    bundles: list[Json]


class BundleUploaded(OpenModel):
    """An uploaded bundle."""

    status: Literal["bundle_kept"]
    name: str


class ErrorResponse(BaseModel):
    """The reason why a request was rejected."""

    detail: str


class ValidationErrorItem(OpenModel):
    """A problem in a request: its location and a message."""

    type: str
    loc: list[str | int]
    msg: str


class ValidationErrorResponse(BaseModel):
    """All problems in a request."""

    detail: list[ValidationErrorItem]


class ImageEntry(OpenModel):
    """An image of a task. Add `/image`, `/preview` or `/tile` to `url`."""

    place: str
    label: str
    url: str
    width: int | None
    height: int | None


class GeometryEntry(OpenModel):
    """A parameter with geometries, and the images that they belong to."""

    parameter: str
    count: int
    images: list[str]


class TaskImages(OpenModel):
    """The images of a task."""

    task_id: str
    images: list[ImageEntry]
    geometries: list[GeometryEntry]
    omitted: int


class ImageDescription(OpenModel):
    """An image, and the levels to view it at: each has half the pixels per side of the one before."""

    place: str
    format: str
    width: int
    height: int
    channels: int
    bits: int
    color: str
    tile_size: int
    levels: list[Json]
    range: Json | None = Field(description="The values that are shown as black and white; null: 0 to 255.")
    notes: list[str]
    geometries: list[Json]


class Geometries(OpenModel):
    """A GeoJSON FeatureCollection in the pixels of an image."""

    type: Literal["FeatureCollection"]
    features: list[Json]
    image: Json | None
    y: Literal["up", "down"]
    omitted: Json
