"""Read the events of a task from a stream of server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from localrun.task.events import Event


def read_events(lines: Iterable[bytes]) -> Iterator[tuple[int, Event]]:
    """Yield the id of each event, 0 if it has none, and the event. Skips what a newer server may add."""
    number, data = 0, b""
    for line in lines:
        text = line.rstrip(b"\r\n")
        if text:
            name, _, value = text.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"id" and value.isdigit():
                number = int(value)
            elif name == b"data":
                data += value
            continue
        event = _event(data) if data else None
        if event is not None:
            yield number, event
        number, data = 0, b""


def _event(data: bytes) -> Event | None:
    try:
        found = json.loads(data)
        return Event(**{name: found[name] for name in Event.__struct_fields__ if name in found})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
