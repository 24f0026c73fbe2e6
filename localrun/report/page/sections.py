"""The sections of the report of a task."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from localrun.console.results import value_text
from localrun.masking.redaction import Redactor
from localrun.report.page.budget import SizeBudget
from localrun.report.page.markup import Child, Markup, join, table, tag
from localrun.report.page.pictures import geometry_text
from localrun.task.workspace import Workspace
from localrun.units import format_bytes, format_count, format_duration

MAX_LOG = 2 * 1024**2  # bytes of the end of the log
_MAX_VALUE = 2000  # characters of a value
_MAX_EVENTS = 500
_MAX_FILES = 50  # of one parameter

Fields = dict[str, Any]


def header(view: Fields) -> Markup:
    """Return the name, the state and the reason of the end of a task."""
    row, found = view["row"], view["headline"]
    message = "" if found["message"].upper() == found["state"] else found["message"]
    cause = join(" ", tag("code", found["cause"])) if found["cause"] else None
    facts = [
        f"task {row['id']}",
        row["bundle"] or None,
        f"created {format_time(row['created'])}" if row["created"] else None,
        f"took {format_duration(row['seconds'])}" if row["seconds"] is not None else None,
        f"exit code {row['exit_code']}" if row["exit_code"] is not None else None,
        f"submitted by {row['assigned_by']}" if row["assigned_by"] else None,
        f"replica {row['replica']} of {row['replica_of']}" if row["replica_of"] else None,
    ]
    return tag(
        "header",
        tag("h1", row["name"] or row["bundle"] or f"task {row['id']}"),
        tag("p", tag("span", found["state"], class_=f"state {found['state']}"), cause),
        tag("p", message, class_="problem") if found["cause"] else _paragraph(message),
        _paragraph(found["explanation"]),
        tag("p", tag("strong", "hint: "), found["remedy"]) if found["remedy"] else None,
        tag("div", *(tag("span", fact) for fact in facts if fact), class_="facts"),
    )


def problems(view: Fields) -> Markup:
    found = [_problem(one) for one in view["problems"]]
    found += [tag("li", one, class_="warning") for one in view["warnings"]]
    return section("Problems and warnings", tag("ul", *found)) if found else Markup()


def metadata(view: Fields, redactor: Redactor) -> Markup:
    """Return a table of the values that users stored with the task."""
    found = redactor.redact(view["row"]["metadata"])
    rows = [(tag("code", key), tag("code", value_text(value)[:_MAX_VALUE])) for key, value in found.items()]
    return section("Metadata", table(("key", "value"), rows, "metadata")) if rows else Markup()


def _problem(problem: Fields) -> Markup:
    place = join(tag("code", problem["path"]), ": ") if problem.get("path") else None
    remedy = f" ({problem['remedy']})" if problem.get("remedy") else None
    return tag("li", place, problem.get("message"), remedy, class_="problem")


def times(view: Fields) -> Markup:
    """Return the tables behind the chart of the timeline."""
    course = view["timeline"]
    states = [
        (one["state"], format_time(one["start"]), _between(one["start"], one["end"]))
        for one in course["states"]
    ]
    steps = [
        (one["name"], one["how"], _between(one["start"], one["end"]), one["exit_code"], one["message"])
        for one in course["steps"]
    ]
    used = view["usage"]["total"]
    return join(
        table(("state", "since", "for"), states, "states"),
        table(("step", "how", "for", "exit code", "message"), steps, "steps"),
        tag("p", _usage(used, view["usage"])) if used else None,
    )


def _usage(used: Fields, limits: Fields) -> str:
    return (
        f"memory: {format_bytes(used['memory_peak'])} of {format_bytes(limits['memory_limit'])};"
        f" CPU time: {format_duration(used['cpu_seconds'])}; read {format_bytes(used['read_bytes'])},"
        f" written {format_bytes(used['written_bytes'])}"
    )


def parameters(title: str, listed: list[Fields], budget: SizeBudget, redactor: Redactor) -> Markup:
    """Return a table of inputs or outputs."""
    rows = [
        (
            join(tag("code", one["name"]), _small(one["display_name"])),
            join(one["type"]["id"], _small(one["constraint"])),
            _value(one, budget, redactor),
        )
        for one in listed
    ]
    return (
        section(title, table(("name", "type", "value"), rows, f"{title.lower()} of the task"))
        if rows
        else Markup()
    )


def _value(one: Fields, budget: SizeBudget, redactor: Redactor) -> Markup:
    found: list[Child] = []
    if one["value"] is not None:
        value = redactor.redact({one["name"]: one["value"]})[one["name"]]
        shown = geometry_text(value)
        if len(shown) > _MAX_VALUE:
            budget.omit(f"{one['name']}: the value after its first {_MAX_VALUE} characters")
            shown = f"{shown[:_MAX_VALUE]}..."
        found.append(tag("code", shown))
    elif one.get("missing"):
        found.append(tag("span", "missing", class_="problem"))
    found += [_small(f"{file['name']} ({_size(file['size'])})") for file in one["files"][:_MAX_FILES]]
    more = len(one["files"]) - _MAX_FILES + one["files_omitted"]
    if more > 0:
        found.append(_small(f"and {format_count(more, 'more file')}"))
        budget.omit(f"{one['name']}: the names of {format_count(more, 'file')}")
    found += [_small(source["text"]) for source in one["sources"][:_MAX_FILES]]
    if len(one["sources"]) > _MAX_FILES:
        budget.omit(f"{one['name']}: the sources of {format_count(len(one['sources']) - _MAX_FILES, 'item')}")
    found += [tag("ul", _problem(problem)) for problem in one["problems"]]
    return join(*found)


def log(view: Fields, workspace: Workspace, budget: SizeBudget, redactor: Redactor) -> Markup:
    """Return the end of the log, as far as there is room for it."""
    size = view["log"]["size"]
    text = _log_text(workspace)
    if not text:
        return section("Log", tag("p", "no output"))
    body = tag("pre", redactor.redact_text(text))
    if not budget.allow(len(body), "the log"):
        return section("Log", tag("p", "left out"))
    note = None
    if size > MAX_LOG:
        what = f"the first {format_bytes(size - MAX_LOG)} of the log"
        budget.omit(f"{what}: its last {format_bytes(MAX_LOG)} are shown")
        note = tag("p", f"{what} are left out")
    return section("Log", note, body)


def _log_text(workspace: Workspace) -> str:
    try:
        with workspace.log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - MAX_LOG))
            data = stream.read(MAX_LOG)
    except OSError:
        return ""
    if size > MAX_LOG:
        data = data.partition(b"\n")[2] or data
    # a carriage return restarts a line, as on a terminal
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def events(view: Fields, budget: SizeBudget) -> Markup:
    listed = view["events"]
    if len(listed) > _MAX_EVENTS:
        budget.omit(f"{format_count(len(listed) - _MAX_EVENTS, 'event')} of {len(listed)}")
    rows = [
        (one["type"], one["reason"], format_time(one["time"]), one["from"], one["message"])
        for one in listed[-_MAX_EVENTS:]
    ]
    head = ("type", "reason", "time", "from", "message")
    return section("Events", table(head, rows, "events of the task")) if rows else Markup()


def replicas(view: Fields) -> Markup:
    """Return the replicas of a task, the groups with the same result, and what differs."""
    found = view["replicas"]
    if found is None or not found["tasks"]:
        return Markup()
    rows = [
        (one["replica"], one["id"][:8], one["state"], one["cause"], one["message"]) for one in found["tasks"]
    ]
    groups = [
        tag("li", f"replicas {', '.join(map(str, one['replicas']))}: result {one['digest'][:16]}")
        for one in found["groups"] or []
    ]
    differences = [
        tag("li", tag("code", one["path"]), f" differs: {'; '.join(one.get('hints') or ['unknown reason'])}")
        for one in found["disagreements"]
    ]
    properties = (found["varied"] or {}).items()
    varied = [tag("li", f"{name}: {', '.join(map(str, values))}") for name, values in properties]
    return section(
        "Replicas",
        table(("replica", "task", "state", "cause", "message"), rows, "replicas of the task"),
        *(
            join(tag("p", title), tag("ul", *items))
            for title, items in (("groups", groups), ("differences", differences), ("varied", varied))
            if items
        ),
    )


def commands(view: Fields, redactor: Redactor) -> Markup:
    shown = [redactor.redact_text(line) for line in view["commands"].values() if line]
    return section("Run it again", *(tag("pre", line) for line in shown)) if shown else Markup()


def left_out(budget: SizeBudget) -> Markup:
    if not budget.omitted:
        return Markup()
    return section("Left out of this report", tag("ul", *(tag("li", one) for one in budget.omitted)))


def section(title: str, *children: Child) -> Markup:
    return tag("section", tag("h2", title), *children)


def format_time(seconds: float | None) -> str:
    """Return a time in UTC, e.g. `2026-11-29 23:17:04 UTC`."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _between(start: float | None, end: float | None) -> str:
    return "" if start is None or end is None else format_duration(max(0.0, end - start))


def _size(size: int | None) -> str:
    return "folder" if size is None else format_bytes(size)


def _small(value: object) -> Markup | None:
    return tag("div", tag("small", str(value))) if value else None


def _paragraph(value: str) -> Markup | None:
    return tag("p", value) if value else None
