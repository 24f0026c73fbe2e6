"""Tasks in notebooks: small static HTML without scripts and style sheets."""

from __future__ import annotations

import time
from collections.abc import Iterable

from localrun.masking.redaction import Redactor
from localrun.report.details.rows import task_row
from localrun.report.details.view import headline, task_view
from localrun.report.images.catalog import TaskCatalog
from localrun.report.page import sections
from localrun.report.page.budget import SizeBudget
from localrun.report.page.markup import Markup, join, table, tag
from localrun.report.page.pictures import figures
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.units import format_bytes, format_count, format_duration

MAX_SIZE = 200 * 1024  # bytes
_MAX_IMAGES = 3
_SIDE = 384  # pixels of an image
_MAX_ROWS = 200
_MAX_TEXT = 300  # characters of a message or value
_COLORS = {"FINISHED": "#0f766e", "FAILED": "#b42318", "KILLED": "#b42318"}


def task_html(record: TaskRecord, workspace: Workspace) -> str:
    """Return a task with its outputs and images, in 200 KB at most."""
    view = task_view(record, workspace, (), time.time())
    redactor, budget = Redactor(), SizeBudget(MAX_SIZE - 64 * 1024)
    values = [
        (tag("code", one["name"]), one["type"]["id"], _value(one, redactor)) for one in view["outputs"][:50]
    ]
    body = join(
        _head(record),
        table(("output", "type", "value"), values, "outputs"),
        figures(TaskCatalog.of(record, workspace), budget, side=_SIDE, most=_MAX_IMAGES),
    )
    if len(body.encode()) > MAX_SIZE:
        body = join(_head(record), tag("p", "its outputs are too large to be shown here"))
    return tag("div", body)


def list_html(records: Iterable[TaskRecord]) -> str:
    """Return a table of tasks, in 200 KB at most."""
    found = list(records)
    rows = [_row(record) for record in found[:_MAX_ROWS]]
    head = ("task", "name", "state", "cause", "created", "took", "memory")
    more = len(found) - _MAX_ROWS
    return tag(
        "div",
        table(head, rows, format_count(len(found), "task")) or tag("p", "no tasks"),
        tag("p", f"and {format_count(more, 'more task')}") if more > 0 else None,
    )


def _head(record: TaskRecord) -> Markup:
    found = headline(record)
    return join(
        tag(
            "p",
            tag("strong", (record.name or record.bundle)[:_MAX_TEXT]),
            f" {record.short_id} ",
            format_state(str(record.state)),
            f" {found['cause']}" if found["cause"] else None,
        ),
        tag("p", found["message"][:_MAX_TEXT]) if found["message"] else None,
        tag("p", f"hint: {found['remedy'][:_MAX_TEXT]}") if found["remedy"] else None,
    )


def _row(record: TaskRecord) -> list[Markup | str | None]:
    row = task_row(record)
    memory = row["memory_peak"]
    return [
        tag("code", record.short_id),
        (row["name"] or row["bundle"])[:_MAX_TEXT],
        format_state(row["state"]),
        row["cause"],
        sections.format_time(row["created"]),
        None if row["seconds"] is None else format_duration(row["seconds"]),
        None if memory is None else format_bytes(memory),
    ]


def format_state(state: str) -> Markup:
    """Return a state in its colour."""
    color = _COLORS.get(state)
    return tag("strong", state, style=f"color:{color}" if color else None)


def _value(one: dict[str, object], redactor: Redactor) -> str:
    if one["value"] is None:
        count = one["count"]
        files = one["files"]
        names = [str(file["name"]) for file in files[:1]] if isinstance(files, list) else []
        return format_count(count, "item") if isinstance(count, int) else "".join(names)
    name = str(one["name"])
    text = str(redactor.redact({name: one["value"]})[name])
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."
