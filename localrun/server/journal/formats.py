"""How an event looks in each of the files.

The spaces after `:` and `,` are what people's `grep '"assigned_by": "ray"'` looks for. A search for the
name of an event finds the lines of that event and no others: elsewhere the name is written with an
escaped character, which every JSON reader takes for the same text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from localrun.masking.redaction import encode

TASK_ERROR = "task_error"
ERROR_EVENTS = frozenset({"error", TASK_ERROR})
UNKNOWN_ERROR = "Unknown error"

_NAMES = ("task_requested", "task_created", "task_completed", "task_error", "task_updated")
_EVENTS = re.compile(rf"task_(?={'|'.join(name.removeprefix('task_') for name in _NAMES)})")
_LINE_ENDS = str.maketrans({end: f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"})
_PASSING = (  # what differs from one error to the next of the same kind
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?:sha256:)?[0-9a-f]{12,64}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"(?<![\w/:.])/(?:[^\s/'\":,;]+/)*[^\s/'\":,;]+"), "<path>"),
)


def now() -> str:
    """The time as all files have it: UTC, always six digits after the second."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def encode_fields(request_id: Any, action: Any, data: Any, metadata: Any) -> str:
    """What follows the time and the type of an event."""
    told = {"request_id": request_id, "action": action, "data": data, "metadata": metadata}
    return make_searchable(encode(told))


def make_searchable(text: str) -> str:
    """JSON in which no search finds an end of a line, or the name of an event."""
    if not text.isascii():
        text = text.translate(_LINE_ENDS)
    for name in _NAMES:
        if name in text:
            return _EVENTS.sub(r"task\\u005f", text)
    return text


def json_line(when: str, event_type: str, rest: str) -> bytes:
    """One line of `heartbeat_detailed.jsonl`."""
    head = f'{{"timestamp": "{when}", "event_type": {encode(event_type)}'
    # a lone half of a surrogate pair has no UTF-8; its escape is JSON
    return f"{head}, {rest[1:]}\n".encode(errors="backslashreplace")


def event_line(when: str, event_type: str, request_id: Any, action: Any, data: Any) -> bytes:
    """One line of `heartbeat_events.log`."""
    parts = [f"[{when}] {event_type.upper()}", f"ID: {request_id}", f"Action: {action}"]
    return (_flat(" | ".join([*parts, *_suffix(event_type, data)])) + "\n").encode()


def error_block(when: str, data: dict[str, Any]) -> bytes:
    """One block of `heartbeat_errors.log`."""
    lines = [f"[{when}] ERROR: {_flat(str(data.get('error') or UNKNOWN_ERROR))}"]
    for name, key in (("Task", "task_id"), ("Detail", "detail")):
        if data.get(key):
            lines.append(f"{name}: {_flat(str(data[key]))}")
    if data.get("traceback"):
        trace = str(data["traceback"]).strip().splitlines()
        lines.append("Traceback: " + "\n".join(_flat(line) for line in trace))
    return "\n".join([*lines, "=" * 80, ""]).encode()


def normalize_error(data: Any) -> dict[str, Any]:
    """The data of an error with an `error` that is there, and the same for all errors of a kind.

    What it was made of (ids, paths, times) stays in `detail`, so that errors can be counted by `error`.
    """
    known = dict(data) if isinstance(data, dict) else {"value": data} if data else {}
    text = str(known.get("error") or "").strip()
    stable = _stable(text)
    if text not in ("", stable):
        known.setdefault("detail", text)
    return {"error": stable, **{key: value for key, value in known.items() if key != "error"}}


def _stable(text: str) -> str:
    line = text.partition("\n")[0].strip()
    for pattern, word in _PASSING:
        line = pattern.sub(word, line)
    return line or UNKNOWN_ERROR


def _suffix(event_type: str, data: Any) -> list[str]:
    known = data if isinstance(data, dict) else {}
    found = []
    if event_type == "incoming_post" and known.get("question"):
        found.append(f"Question: {str(known['question'])[:50]}...")
    if event_type == "outgoing_response" and "status" in known:
        found.append(f"Status: {known['status']}")
    if event_type in ERROR_EVENTS:
        found.append(f"Error: {known.get('error')}")
    if event_type.startswith("task_") and known.get("task_id"):
        found.append(f"Task: {known['task_id']}")
    return found


def _flat(text: str) -> str:
    """One line, and nothing in it that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
