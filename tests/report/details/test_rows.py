from __future__ import annotations

from localrun.report.details.rows import task_row
from localrun.task.record import BatchRow, TaskRecord


def test_a_row_names_the_batch_and_the_node_of_a_task() -> None:
    place = BatchRow(id="nightly", row=3, name="x")
    row = task_row(TaskRecord(id="a" * 36, bundle="add.zip", batch=place, node="node-1"))
    assert (row["batch"], row["node"]) == (place, "node-1")
    own = task_row(TaskRecord(id="a" * 36, bundle="add.zip"))
    assert (own["batch"], own["node"]) == (None, None)
