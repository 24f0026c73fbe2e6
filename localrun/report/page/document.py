"""The report of a task: one HTML file that works from disk, without scripts and without any request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localrun._version import __version__
from localrun.masking import store
from localrun.masking.redaction import Redactor
from localrun.report.details.view import task_view
from localrun.report.images.catalog import TaskCatalog
from localrun.report.page import chart, sections
from localrun.report.page.budget import SizeBudget
from localrun.report.page.markup import Markup, join, tag
from localrun.report.page.pictures import figures
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace

MAX_SIZE = 20 * 1024**2  # bytes of what is inlined
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_RESERVED = 256 * 1024  # bytes for the parts that are always there


@dataclass(frozen=True, slots=True)
class TaskReport:
    """The report of a task as HTML, and what was left out of it."""

    html: str
    omitted: list[str]


def make_report(
    record: TaskRecord, workspace: Workspace, replicas: Sequence[TaskRecord] = (), limit: int = MAX_SIZE
) -> TaskReport:
    """Return the report of a task in its current state, with at most `limit` bytes of images and logs."""
    now = time.time()
    view = task_view(record, workspace, replicas, now)
    redactor = Redactor(store.load(workspace.secrets).values())
    budget = SizeBudget(limit)
    budget.take(_RESERVED)
    log = sections.log(view, workspace, budget, redactor)
    images = figures(TaskCatalog.of(record, workspace), budget)
    body = [
        sections.header(view),
        sections.problems(view),
        sections.metadata(view, redactor),
        sections.section("Images", images) if images else None,
        sections.parameters("Outputs", view["outputs"], budget, redactor),
        sections.parameters("Inputs", view["inputs"], budget, redactor),
        sections.section("Timeline", chart.draw(view), sections.times(view)),
        log,
        sections.events(view, budget),
        sections.replicas(view),
        sections.commands(view, redactor),
        sections.left_out(budget),
        _footer(record, now),
    ]
    return TaskReport(_page(f"{record.short_id} {record.name or record.bundle}", join(*body)), budget.omitted)


def _footer(record: TaskRecord, now: float) -> Markup:
    state = "" if record.state.is_final else f" while the task was {record.state}"
    made = f"made by localrun {__version__} at {sections.format_time(now)}{state}"
    return tag("footer", tag("p", tag("small", made)))


def _page(title: str, body: Markup) -> str:
    style = Path(__file__).with_name("style.css").read_text()
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    return f'<!doctype html>\n<html lang="en">{head}<body><main>{body}</main></body></html>\n'
