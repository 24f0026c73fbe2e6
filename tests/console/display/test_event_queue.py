from __future__ import annotations

from localrun.console.display.event_queue import EventQueue
from localrun.task.events import Event


def log(text: str) -> Event:
    return Event("log", "t", data={"stream": "stdout", "text": text})


def state(word: str) -> Event:
    return Event("state", "t", word, {"state": word, "cause": None})


def test_events_come_in_order_until_the_feed_is_closed() -> None:
    feed = EventQueue()
    for event in (state("RUNNING"), log("a"), state("FINISHED")):
        feed.put(event)
    feed.close()
    feed.put(log("too late"))
    assert [event.data.get("state", event.kind) for event in feed] == ["RUNNING", "log", "FINISHED"]


def test_output_for_which_there_is_no_room_is_left_out_and_counted() -> None:
    feed = EventQueue(capacity=10)
    for text in ("12345", "123456", "12345"):
        feed.put(log(text))
    feed.close()
    assert [event.data["text"] for event in feed if event.kind == "log"] == ["12345", "12345"]
    assert feed.omitted == 6


def test_what_was_shown_makes_room_again() -> None:
    feed = EventQueue(capacity=5)
    feed.put(log("12345"))
    assert next(iter(feed)).data["text"] == "12345"
    feed.put(log("67890"))
    assert feed.omitted == 0
