"""The forms of requests and answers, as the OpenAPI document shows them.

Requests are checked by these; answers are made without them (see `answer`) and only described.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from localrun.task.states import TaskState

MAX_BATCH_SIZE = 1000  # tasks in one batch

Json = dict[str, Any]


class Submission(BaseModel):
    """A task to be made."""

    task: Annotated[
        Json,
        Field(
            description=(
                "Any object. One that names a `bundle` (with `inputs`, `resources`, `timeout`) or an `image` "
                "(with `command`, `env`, `inputs`, `outputs`) is run, with `profile` iexec as an iExec app "
                "(with `args`, `input_files`, `datasets`, `secrets`); others are active until completed."
            ),
            examples=[{}, {"bundle": "samples/add-integers", "inputs": {"a": 3, "b": 4}}],
        ),
    ]
    assigned_by: Annotated[StrictStr, Field(description="Who asks for it.", examples=["ray"])]


class Batch(BaseModel):
    """Several tasks to be made, each by itself."""

    task: Annotated[list[Json], Field(min_length=1, max_length=MAX_BATCH_SIZE)]
    assigned_by: StrictStr


StateFilter = Literal["active", "ended", "all"] | TaskState


class TaskFilter(BaseModel):
    """Which tasks to list."""

    state: StateFilter = Field("active", description="`active`, `ended`, `all`, or one state.")
    assigned_by: str | None = Field(None, description="Only tasks of this one.")
    limit: int | None = Field(None, ge=1, le=100_000, description="At most so many.")
    after: str | None = Field(None, description="Only those that follow the task of this id.")


class Completion(BaseModel):
    """How a task was completed."""

    result: Json = Field(default_factory=dict, description="Anything that whoever did the task tells of it.")


class HeartbeatRequest(BaseModel):
    """What the sender of a heartbeat wants."""

    model_config = ConfigDict(extra="allow")
    action: StrictStr
    question: str | None = None
    current_position: Any = None


class OpenModel(BaseModel):
    """An answer with more keys than the ones that are promised."""

    model_config = ConfigDict(extra="allow")


class TaskCreated(OpenModel):
    """A task was made."""

    status: Literal["task_created"]
    task_id: str
    timestamp: str
    assigned_by: str
    task: Json
    message: str
    state: str


class CreatedTask(OpenModel):
    """One task of a batch."""

    task_id: str
    task: Json
    timestamp: str


class FailedTask(OpenModel):
    """One that was refused."""

    task_index: int
    task_data: Json
    error: Any


class BatchProcessed(OpenModel):
    """A batch was taken: which tasks were made, and which were refused."""

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
    """Tasks in the order in which they were made."""

    status: Literal["success"]
    active_tasks_count: int
    active_tasks: list[TaskEntry]
    timestamp: str


class TaskResponse(OpenModel):
    """A task, with all that is known of it."""

    status: Literal["success"]
    task: TaskEntry
    timestamp: str


class TaskCounts(OpenModel):
    """How many tasks there are."""

    active_tasks_count: int
    completed_tasks_count: int
    total_tasks_processed: int


class Status(OpenModel):
    """How the task system is."""

    status: Literal["operational"]
    task_manager: TaskCounts
    timestamp: str


class Heartbeat(OpenModel):
    """The server is alive."""

    type: Literal["heartbeat"]
    timestamp: str
    in_task: bool
    last_server_action: str | None
    status: Literal["alive"]


class HeartbeatResponse(OpenModel):
    """What became of an action."""

    status: str
    timestamp: str


class Outputs(OpenModel):
    """The outputs of a task: values, and where files are downloaded."""

    task_id: str
    state: str
    outputs: Json
    files: Json


class BundleList(OpenModel):
    """The bundles that a task can name."""

    bundles: list[Json]


class BundleUploaded(OpenModel):
    """A bundle was uploaded."""

    status: Literal["bundle_kept"]
    name: str


class ErrorResponse(BaseModel):
    """Why a request was refused."""

    detail: str


class ValidationErrorItem(BaseModel):
    """One thing that is wrong in a request: its place, and what it is."""

    model_config = ConfigDict(extra="allow")
    type: str
    loc: list[str | int]
    msg: str


class ValidationErrorResponse(BaseModel):
    """Everything that is wrong in a request."""

    detail: list[ValidationErrorItem]
