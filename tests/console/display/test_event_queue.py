from __future__ import annotations

from localrun.console.display.event_queue import EventQueue
from localrun.task.events import Event


def log(text: str) -> Event:
    return Event("log", "t", data={"stream": "stdout", "text": text})


def state(word: str) -> Event:
    return Event("state", "t", word, {"state": word, "cause": None})


def test_events_come_in_order_until_the_queue_is_closed() -> None:
    queue = EventQueue()
    for event in (state("RUNNING"), log("a"), state("FINISHED")):
        queue.put(event)
    queue.close()
    queue.put(log("too late"))
    assert [event.data.get("state", event.kind) for event in queue] == ["RUNNING", "log", "FINISHED"]


def test_output_beyond_the_capacity_is_dropped_and_counted() -> None:
    queue = EventQueue(capacity=10)
    for text in ("12345", "123456", "12345"):
        queue.put(log(text))
    queue.close()
    assert [event.data["text"] for event in queue if event.kind == "log"] == ["12345", "12345"]
    assert queue.omitted == 6


def test_displayed_output_frees_capacity() -> None:
    queue = EventQueue(capacity=5)
    queue.put(log("12345"))
    assert next(iter(queue)).data["text"] == "12345"
    queue.put(log("67890"))
    assert queue.omitted == 0


def test_the_display_is_refreshed_when_no_events_are_left() -> None:
    calls: list[str] = []

    def on_idle() -> None:
        calls.append("idle")
        queue.close()

    queue = EventQueue(on_idle=on_idle)
    for text in ("a", "b"):
        queue.put(log(text))
    for event in queue:
        calls.append(event.data["text"])
    assert calls == ["a", "b", "idle"]
