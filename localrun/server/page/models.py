"""The models of requests and responses of the web page in the OpenAPI document."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from localrun.server.task_models import Json, OpenModel

TaskOrder = Literal[
    "created", "-created", "ended", "-ended", "seconds", "-seconds", "name", "-name", "memory", "-memory"
]


class TaskSearch(BaseModel):
    """The tasks to show."""

    q: str = Field(
        "",
        max_length=1000,
        description="Terms that all match, e.g. `state:FAILED cause:OUT_OF_MEMORY by:ray -name:old text`. "
        "Keys: `state` (also `active`, `ended`), `cause`, `by`, `name`, `id`, `bundle`, `step`, `kind`, "
        "`message`, `value`, `metadata` (`metadata:KEY=VALUE`), `batch` for the rows of a batch, and "
        "`of` for the replicas of a task.",
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
        None, description="As `json`, only lines of this stream."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if sum(value is not None for value in (self.start, self.line, self.tail)) > 1:
            raise ValueError("`from`, `line` and `tail` exclude each other; use one of them")
        if self.follow and self.format != "text":
            raise ValueError("`follow` is for format=text; use format=events")
        if (self.find or self.stream) and self.format != "json":
            raise ValueError("`find` and `stream` are for format=json; add it")
        if (self.find or self.stream) and (self.line is not None or self.tail is not None):
            raise ValueError("`find` and `stream` start at a byte; use `from`")
        return self


class Rerun(BaseModel):
    """Changes of a task that runs again."""

    model_config = ConfigDict(extra="forbid")

    inputs: Json = Field(default_factory=dict, description="Inputs that replace those of the earlier task.")
    metadata: Json = Field(
        default_factory=dict, description="Values that replace those of the earlier task, by key."
    )
    assigned_by: str = Field(
        "", description="The client that requests it.  Default: that of the earlier task."
    )


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


class JournalQuery(BaseModel):
    """Which lines of the journal to return."""

    type: str | None = Field(None, max_length=100, description="Only events of this type.")
    task: str | None = Field(None, max_length=100, description="Only events of the task with this id.")
    limit: int = Field(200, ge=1, le=1000, description="Maximum number of lines.")
    before: str | None = Field(
        None, pattern=r"^\d{1,20}-\d{1,15}$", description="Only lines before this position, from `next`."
    )


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


class BundleDescription(OpenModel):
    """A bundle: its inputs, outputs and resources, and the JSON Schema of its inputs."""

    reference: str
    name: str
    title: str
    inputs: list[Json]
    outputs: list[Json]
    resources: Json
    warnings: list[str]


class CheckRequest(OpenModel):
    """A task without its bundle."""

    inputs: Json = Field(default_factory=dict, description="The values by name.")
    uploads: list[str] = Field(
        default_factory=list, max_length=10_000, description="Inputs, or items such as `images/0`, to upload."
    )


class CheckResult(OpenModel):
    """The problems of a task, and how to submit it."""

    valid: bool
    problems: list[Json]
    missing: list[str]
    warnings: list[str]
    commands: Json
    submission: Json


class Queue(OpenModel):
    """The resources of the machine, and who has reserved or waits for them."""

    host: Json
    engine: Json
    capacity: Json | None
    reserved: Json
    free: Json | None
    running: list[Json]
    waiting: list[Json]


class TaskDiff(OpenModel):
    """The differences between two tasks."""

    a: TaskRow
    b: TaskRow
    same: bool
    differences: list[Json]
    inputs: list[Json]
    outputs: list[Json]


class Session(OpenModel):
    """What a page needs to know of the server."""

    version: str
    token_required: bool
    server: str
    home: str


class Code(BaseModel):
    """A code that works once."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(max_length=200)


class SessionToken(OpenModel):
    """The token, or null if the server needs none."""

    token: str | None


class NewCode(OpenModel):
    """A new code, and until when it works, in seconds since 1970."""

    code: str
    expires: float


class TicketRequest(BaseModel):
    """The path of a download, with its query."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(max_length=4000, pattern=r"^/(task|batch)/[^/?#]+/[^#]*$")


class Ticket(OpenModel):
    """An address that works once, until `expires`."""

    url: str
    expires: float
