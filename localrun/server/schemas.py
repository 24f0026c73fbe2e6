"""The models of requests and responses in the OpenAPI document.

Requests are validated with these models. Responses are encoded without them (see `json_response`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictStr, model_validator

from localrun.task.states import TaskState

MAX_BATCH_SIZE = 1000  # tasks

Json = dict[str, Any]


class OpenModel(BaseModel):
    """An object that may have additional keys."""

    model_config = ConfigDict(extra="allow")


class Submission(BaseModel):
    """A task to create."""

    task: Annotated[
        Json,
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

    task: Annotated[list[Json], Field(min_length=1, max_length=MAX_BATCH_SIZE)]
    assigned_by: StrictStr


TaskOrder = Literal[
    "created", "-created", "ended", "-ended", "seconds", "-seconds", "name", "-name", "memory", "-memory"
]
StateFilter = Literal["active", "ended", "all"] | TaskState


class TaskFilter(BaseModel):
    """The tasks to list."""

    state: StateFilter = Field("active", description="`active`, `ended`, `all` or a state.")
    assigned_by: str | None = Field(None, description="Only tasks requested by this client.")
    limit: int | None = Field(None, ge=1, le=100_000, description="Maximum number of tasks.")
    after: str | None = Field(None, description="Only tasks after the task with this id.")


class TaskSearch(BaseModel):
    """The tasks to show."""

    q: str = Field(
        "",
        max_length=1000,
        description="Terms that all match, e.g. `state:FAILED cause:OUT_OF_MEMORY by:ray -name:old text`. "
        "Keys: `state` (also `active`, `ended`), `cause`, `by`, `name`, `id`, `bundle`, `step`, `kind`, "
        "`message`, `value`, and `of` for the replicas of a task.",
    )
    sort: TaskOrder = Field("-created", description="The order; `-` is descending.")
    offset: int = Field(0, ge=0, le=10_000_000, description="Number of tasks to skip.")
    limit: int = Field(100, ge=1, le=1000, description="Maximum number of tasks.")
    start: str | None = Field(
        None, alias="from", max_length=200, description="Start at this task, so that new ones move nothing."
    )


class LogQuery(BaseModel):
    """Which part of a log to return, and how."""

    format: Literal["text", "json", "events"] = Field("text", description="The form of the response.")
    follow: bool = Field(False, description="As `text`, stream new output until the task has ended.")
    start: int | None = Field(
        None, alias="from", ge=0, le=10**15, description="Start at this byte; in pages, at its line."
    )
    line: int | None = Field(None, ge=1, le=10**12, description="Start at this line, from 1.")
    tail: int | None = Field(None, ge=0, le=10**6, description="Only this number of lines at the end.")
    limit: int | None = Field(None, ge=1, le=5000, description="Maximum number of lines of a page.")
    find: str = Field("", max_length=500, description="As `json`, only the lines that contain this text.")
    stream: Literal["stdout", "stderr", "localrun"] | None = Field(
        None, description="With `find`, only lines of this stream."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if sum(value is not None for value in (self.start, self.line, self.tail)) > 1:
            raise ValueError("`from`, `line` and `tail` exclude each other; use one of them")
        if self.follow and self.format != "text":
            raise ValueError("`follow` is for format=text; use format=events")
        if (self.find or self.stream) and self.format != "json":
            raise ValueError("`find` and `stream` are for format=json; add it")
        if self.stream and not self.find:
            raise ValueError("`stream` is for `find`; add it")
        if self.find and (self.line is not None or self.tail is not None):
            raise ValueError("`find` starts at a byte; use `from`")
        return self


class Completion(BaseModel):
    """The result of a manual task."""

    result: Json = Field(default_factory=dict, description="Any result data.")


class Rerun(BaseModel):
    """Changes of a task that runs again."""

    model_config = ConfigDict(extra="forbid")

    inputs: Json = Field(default_factory=dict, description="Inputs that replace those of the earlier task.")
    assigned_by: str = Field(
        "", description="The client that requests it.  Default: that of the earlier task."
    )


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


class CreatedTask(OpenModel):
    """A created task of a batch."""

    task_id: str
    task: Json
    timestamp: str


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


class TaskEntry(OpenModel):
    """A task in a list."""

    task_id: str
    task: Json
    assigned_by: str
    timestamp: str
    state: str
    status: str


class TaskList(OpenModel):
    """A list of tasks in order of creation."""

    status: Literal["success"]
    active_tasks_count: int
    active_tasks: list[TaskEntry]
    timestamp: str


class TaskRow(OpenModel):
    """A task as a row: times in seconds since 1970, sizes in bytes."""

    id: str
    name: str
    state: str
    final: bool
    cause: str | None
    created: float


class TaskRows(OpenModel):
    """Some of the tasks that match, the numbers of all by state, and where to continue with events."""

    tasks: list[TaskRow]
    counts: dict[str, int]
    matching: int
    total: int
    offset: int
    event_id: str
    time: float


class TaskView(OpenModel):
    """A task with everything that the web page shows. Times in seconds since 1970, sizes in bytes."""

    row: TaskRow
    headline: Json
    actions: Json
    timeline: Json
    inputs: list[Json]
    outputs: list[Json]
    events: list[Json]
    commands: Json
    event_id: str


class TaskUsage(OpenModel):
    """Samples of the resource usage of a task. `last` is for `since`."""

    samples: list[Json]
    last: float | None
    ended: bool


class TaskRemoved(OpenModel):
    """A deleted task."""

    status: Literal["removed"]
    task_id: str


class LogPage(OpenModel):
    """A page of a log. `end` is where the next one starts."""

    size: int
    lines: int
    start: Json
    end: Json
    entries: list[Json]


class JournalLines(OpenModel):
    """Lines of the journal, newest first. `next` is for `before`."""

    lines: list[Json]
    next: str | None


class TaskResponse(OpenModel):
    """A task with all details."""

    status: Literal["success"]
    task: TaskEntry
    timestamp: str


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
