"""A described task as text, in the form of `kubectl describe pod`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from localrun.console.display.sanitize import escape_control_chars, format_columns
from localrun.console.results import value_text
from localrun.report.details.description import Fields

_NONE = "<none>"
_HEAD_WIDTH, _STEP_WIDTH, _MAX_MOUNTS = 18, 17, 20
_COLUMNS = ("Type", "Reason", "Age", "From", "Message")
_UNITS = (("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024))


def format_lines(fields: Fields) -> Iterator[str]:
    """Yield the lines, without line breaks."""
    yield from _head(fields)
    for title, init in (("Init Containers", True), ("Containers", False)):
        found = [one for one in fields["containers"] if one["init"] is init]
        yield f"{title}:" if found else _pair(title, None)
        for facts in found:
            yield f"  {facts['name']}:"
            yield from (f"    {line}" for line in _container(facts))
    yield "Conditions:"
    rows = [("Type", "Status"), *((name, str(value)) for name, value in fields["conditions"].items())]
    yield from (f"  {row}" for row in format_columns(rows))
    yield from _volumes(fields["volumes"])
    yield from _rows("Input Sources", fields["source_rows"])
    yield from _rows("Regions", fields["region_rows"])
    yield _pair("QoS Class", fields["qos_class"])
    yield from _events(fields["events"])


def _pair(name: str, value: Any, width: int = _HEAD_WIDTH) -> str:
    return f"{name + ':':<{width}}{_NONE if value in (None, '') else value}"


def _head(fields: Fields) -> Iterator[str]:
    yield _pair("Name", fields["id"])
    yield _pair("Task", fields["name"])
    yield _pair("Bundle", fields["bundle"])
    yield _pair("Namespace", fields["namespace"])
    yield _pair("Node", fields["node"])
    if owner := fields["owner_hint"] or fields["owner"]["process"]:
        yield _pair("Process", owner)
    yield _pair("Start Time", _date(fields["start_time"]))
    yield from _list("Labels", fields["labels"], "{}={}")
    yield from _list("Annotations", fields["annotations"], "{}: {}")
    yield _pair("Status", f"{fields['phase']} ({fields['state']})")
    if fields["cause"]:
        yield _pair("Reason", fields["cause"])
        first, *more = fields["message"].splitlines() or [""]
        yield _pair("Message", first)
        yield from (f"{'':<{_HEAD_WIDTH}}{line}" for line in more)
    if fields["remedy"]:
        yield _pair("Hint", fields["remedy"])


def _list(name: str, pairs: Mapping[str, Any], form: str) -> Iterator[str]:
    rows = [form.format(key, value_text(value)) for key, value in pairs.items()] or [_NONE]
    yield _pair(name, rows[0])
    yield from (f"{'':<{_HEAD_WIDTH}}{row}" for row in rows[1:])


def _container(facts: Fields) -> Iterator[str]:
    own = "container_id" in facts
    if "task" in facts:
        yield _step_pair("Task", facts["task"])
    yield _step_pair("Container ID", facts.get("container_id"))
    yield _step_pair("Image", facts.get("image"))
    yield _step_pair("Image ID", facts.get("image_id"))
    if facts.get("node"):
        yield _step_pair("Node", facts["node"])
    if facts.get("platform"):
        yield _step_pair("Platform", facts["platform"])
    if not own:
        yield _step_pair("Command", f"{_NONE} ({facts['how']})" if facts["how"] else None)
    elif facts["command"]:
        yield "Command:"
        yield from (f"  {line}" for part in facts["command"] for line in part.splitlines() or [""])
    else:
        yield _step_pair("Command", "<the image's own>" if facts["state"] == "Waiting" else None)
    yield from _state(facts)
    yield _step_pair("Ready", str(facts["ready"]))
    if own:
        yield from _own_lines(facts)


def _step_pair(name: str, value: Any) -> str:
    return _pair(name, value, _STEP_WIDTH)


def _state(facts: Fields) -> Iterator[str]:
    yield _step_pair("State", facts["state"])
    shown = {
        "Reason": facts["reason"],
        "Message": facts["message"],
        "Exit Code": facts["exit_code"],
        "Signal": facts["signal"],
        "Started": _date(facts["started"]),
        "Finished": _date(facts["finished"]),
    }
    yield from (f"  {_pair(name, value, 15)}" for name, value in shown.items() if value not in (None, ""))


def _own_lines(facts: Fields) -> Iterator[str]:
    yield _step_pair("Restart Count", facts["restart_count"])
    for name in ("limits", "requests"):
        yield f"{name.capitalize()}:"
        yield from _aligned({key: _amount(key, value) for key, value in facts[name].items()})
    yield _step_pair("Network", facts["network"])
    if facts["timeout"]:
        yield _step_pair("Deadline", f"{facts['timeout']:g} s")
    if facts["usage_text"]:
        yield _step_pair("Usage", facts["usage_text"])
    if facts["environment"]:
        yield "Environment:"
        yield from _aligned(facts["environment"])
    else:
        yield _step_pair("Environment", None)
    yield "Mounts:"
    yield from (f"  {row}" for row in _mounts(facts["mounts"]))
    if facts["docker_command"]:
        yield "Run By Hand:"
        yield f"  {escape_control_chars(facts['docker_command'])}"


def _aligned(pairs: Mapping[str, Any]) -> Iterator[str]:
    width = max(map(len, pairs)) + 3
    return (f"  {_pair(name, value, width)}" for name, value in pairs.items())


def _amount(name: str, value: float) -> str:
    """Format a quantity like Kubernetes."""
    if name != "memory":
        return f"{value:g}"
    return next((f"{value / size:g}{unit}" for unit, size in _UNITS if value >= size), f"{value:g}")


def _mounts(mounts: list[Fields]) -> Iterator[str]:
    for mount in mounts[:_MAX_MOUNTS]:
        over = ", over the image" if mount.get("over_image") else ""
        yield f"{mount['path']} from {mount['volume']} ({'ro' if mount['read_only'] else 'rw'}{over})"
    if len(mounts) > _MAX_MOUNTS:
        yield f"... and {len(mounts) - _MAX_MOUNTS} more; `--json` lists all"


def _volumes(volumes: list[Fields]) -> Iterator[str]:
    yield "Volumes:" if volumes else _pair("Volumes", None)
    for volume in volumes:
        yield f"  {volume['name']}:"
        yield f"    Type:  {volume['type']}"
        yield f"    Path:  {volume['path']}"


def _rows(title: str, rows: list[str]) -> Iterator[str]:
    if rows:
        yield f"{title}:"
        yield from (f"  {escape_control_chars(row)}" for row in rows)


def _events(events: list[Fields]) -> Iterator[str]:
    if not events:
        yield _pair("Events", None)
        return
    yield "Events:"
    rules = tuple("-" * len(name) for name in _COLUMNS)
    yield from (f"  {row}" for row in format_columns([_COLUMNS, rules, *map(_event, events)]))


def _event(event: Fields) -> tuple[str, ...]:
    shown = format_age(event["age"])
    if event["count"] > 1:
        shown += f" (x{event['count']} over {format_age(event['first_age'])})"
    return event["type"], event["reason"], shown, event["from"], event["message"]


def format_age(seconds: float) -> str:
    """Format seconds like `kubectl` with at most two units: 167 gives `2m47s`."""
    whole = int(seconds)
    parts = ((whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s"))
    first = next((index for index, (number, _) in enumerate(parts) if number), len(parts) - 1)
    shown = [f"{number}{unit}" for number, unit in parts[first : first + 2] if number]
    return "".join(shown) or "0s"


def _date(moment: float | None) -> str:
    return "" if moment is None else time.strftime("%a, %d %b %Y %H:%M:%S %z", time.localtime(moment))
