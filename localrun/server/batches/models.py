"""The models of batches in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from localrun.server.task_models import BundleTask, Json, OpenModel
from localrun.task.states import TaskState

MAX_ROWS = 100_000

BatchState = Literal["running", "ended", "stopped", "cancelled"]


class NewBatch(BaseModel):
    """A batch to create: a bundle, and rows, a grid or a table. Other fields are options of all tasks."""

    model_config = ConfigDict(extra="allow")

    bundle: StrictStr = Field(description="A path below `--bundles`, or `namespace:version`.")
    rows: list[Any] | None = Field(
        None,
        max_length=MAX_ROWS,
        description="Inputs by name for each row. `null` is the default of an input, `id` names the row.",
        examples=[[{"a": 1, "b": 2}, {"a": 3, "b": 4}]],
    )
    grid: dict[str, list[Any]] | None = Field(
        None,
        description="In place of rows: values by name, of which all combinations are rows.",
        examples=[{"threshold": [10, 20]}],
    )
    table: StrictStr | None = Field(
        None,
        description="In place of rows: a table as text, CSV with a line of names, or JSON Lines.",
        examples=["a,b\n1,2\n3,4\n"],
    )
    table_name: StrictStr = Field(
        "table",
        max_length=200,
        description="Its file name, for messages. A `.tsv` has tabs.",
    )
    inputs: Json | str | None = Field(None, description="Inputs that all rows share.")
    skip_invalid: bool = Field(False, description="Run the valid rows although others are not.")
    jobs: int | None = Field(
        None, ge=1, le=1000, description="Rows that are submitted at once. Default: as many as fit."
    )
    cluster: StrictStr | None = Field(
        None, description="The address of a cluster that the server was started with.  Default: this machine."
    )
    assigned_by: StrictStr = Field("", description="The client that requests it.")


class DocumentedBatch(NewBatch, BundleTask):
    """A batch to create, with the options of its tasks."""


class ResumedBatch(BaseModel):
    """How to resume a batch."""

    model_config = ConfigDict(extra="forbid")

    rerun_failed: bool = Field(False, description="Also repeat the rows that did not finish.")


class BatchFields(OpenModel):
    """A batch: what it runs, and how far it is. Times in seconds since 1970."""

    batch_id: str
    name: str
    bundle: str
    state: BatchState
    created: float
    ended: float | None
    total: int = Field(description="The number of rows.")
    counts: dict[str, int] = Field(description="The ended rows by state.")
    invalid: int = Field(description="Rows that were skipped.")
    nodes: dict[str, int] = Field(description="The rows that run on each node of a cluster.")
    assigned_by: str
    error: str | None = Field(description="What stopped it.")
    note: str | None = Field(description="What it waits for, e.g. a worker of its cluster.")
    rate: float | None = Field(description="Rows per second, while it runs in this server.")


class BatchResponse(OpenModel):
    """A batch."""

    status: Literal["success", "batch_created"]
    batch: BatchFields
    timestamp: str


class WaitedBatch(BatchResponse):
    """A batch after waiting."""

    ended: bool = Field(description="Whether no row runs any more.")


class BatchList(OpenModel):
    """Batches, newest first."""

    status: Literal["success"]
    batches: list[BatchFields]
    total: int
    event_id: str
    timestamp: str


class BatchRows(OpenModel):
    """Some rows of a batch, and the numbers of those that have started, by state."""

    rows: list[Json]
    counts: dict[str, int]
    matching: int
    total: int
    offset: int
    event_id: str
    time: float


class RowQuery(BaseModel):
    """The rows to show."""

    state: TaskState | Literal["active", "ended", "all"] = Field(
        "all", description="Only rows in this state."
    )
    q: str = Field("", max_length=200, description="Only rows whose result contains this text.")
    sort: Literal["failed", "row", "-ended"] = Field(
        "failed", description="The order: failed and active rows first, the number, or the latest end first."
    )
    offset: int = Field(0, ge=0, le=10_000_000, description="Number of rows to skip.")
    limit: int = Field(100, ge=1, le=1000, description="Maximum number of rows.")
