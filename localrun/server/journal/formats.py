"""The format of an event in each of the files.

There are spaces after `:` and `,`, so that `grep '"assigned_by": "ray"'` works. A search for the name of an
event finds only the lines of that event: in other lines, one character of the name is escaped, which makes
no difference to JSON parsers.
"""

from __future__ import annotations

import re
from typing import Any

from localrun.masking.redaction import encode

TASK_ERROR = "task_error"
ERROR_EVENTS = frozenset({"error", TASK_ERROR})
UNKNOWN_ERROR = "Unknown error"

_NAMES = ("task_requested", "task_created", "task_completed", "task_error", "task_updated")
_EVENTS = re.compile(rf"task_(?={'|'.join(name.removeprefix('task_') for name in _NAMES)})")
_LINE_ENDS = str.maketrans({end: f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"})
_VARIABLE_PARTS = (  # the parts that differ between errors of the same kind
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?:sha256:)?[0-9a-f]{12,64}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"(?<![\w/:.])/(?:[^\s/'\":,;]+/)*[^\s/'\":,;]+"), "<path>"),
)


def encode_fields(request_id: Any, action: Any, data: Any, metadata: Any) -> str:
    """Return the part of a line after the time and the type of the event."""
    fields = {"request_id": request_id, "action": action, "data": data, "metadata": metadata}
    return make_searchable(encode(fields))


def make_searchable(text: str) -> str:
    """Escape line ends and the names of events in JSON."""
    if not text.isascii():
        text = text.translate(_LINE_ENDS)
    for name in _NAMES:
        if name in text:
            return _EVENTS.sub(r"task\\u005f", text)
    return text


def json_line(when: str, event_type: str, rest: str) -> bytes:
    """Return a line of `heartbeat_detailed.jsonl`."""
    head = f'{{"timestamp": "{when}", "event_type": {encode(event_type)}'
    # a lone surrogate cannot be encoded as UTF-8, but its escape is valid JSON
    return f"{head}, {rest[1:]}\n".encode(errors="backslashreplace")


def event_line(when: str, event_type: str, request_id: Any, action: Any, data: Any) -> bytes:
    """Return a line of `heartbeat_events.log`."""
    parts = [f"[{when}] {event_type.upper()}", f"ID: {request_id}", f"Action: {action}"]
    return (_flat(" | ".join([*parts, *_suffix(event_type, data)])) + "\n").encode()


def error_block(when: str, data: dict[str, Any]) -> bytes:
    """Return a block of `heartbeat_errors.log`."""
    lines = [f"[{when}] ERROR: {_flat(str(data.get('error') or UNKNOWN_ERROR))}"]
    for name, key in (("Task", "task_id"), ("Detail", "detail")):
        if data.get(key):
            lines.append(f"{name}: {_flat(str(data[key]))}")
    if data.get("traceback"):
        trace = str(data["traceback"]).strip().splitlines()
        lines.append("Traceback: " + "\n".join(_flat(line) for line in trace))
    return "\n".join([*lines, "=" * 80, ""]).encode()


def normalize_error(data: Any) -> dict[str, Any]:
    """Return the data of an error with an `error` that is the same for all errors of a kind.

    The original text with ids, paths and times is kept in `detail`, so errors can be counted by `error`.
    """
    fields = dict(data) if isinstance(data, dict) else {"value": data} if data else {}
    text = str(fields.get("error") or "").strip()
    stable = _stable(text)
    if text not in ("", stable):
        fields.setdefault("detail", text)
    return {"error": stable, **{key: value for key, value in fields.items() if key != "error"}}


def _stable(text: str) -> str:
    line = text.partition("\n")[0].strip()
    for pattern, word in _VARIABLE_PARTS:
        line = pattern.sub(word, line)
    return line or UNKNOWN_ERROR


def _suffix(event_type: str, data: Any) -> list[str]:
    fields = data if isinstance(data, dict) else {}
    parts = []
    if event_type == "incoming_post" and fields.get("question"):
        parts.append(f"Question: {str(fields['question'])[:50]}...")
    if event_type == "outgoing_response" and "status" in fields:
        parts.append(f"Status: {fields['status']}")
    if event_type in ERROR_EVENTS:
        parts.append(f"Error: {fields.get('error')}")
    if event_type.startswith("task_") and fields.get("task_id"):
        parts.append(f"Task: {fields['task_id']}")
    return parts


def _flat(text: str) -> str:
    """Escape line ends and control characters."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
