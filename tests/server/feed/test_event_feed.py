from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from localrun.server.feed.event_feed import EventFeed


def numbers(feed: EventFeed, after: int) -> list[int] | None:
    found = feed.after(after)
    return None if found is None else [entry.number for entry in found]


def test_a_reader_gets_what_follows_its_last_event() -> None:
    feed = EventFeed()
    for number in range(3):
        feed.publish("state", partial(dict, n=number))
    assert numbers(feed, 0) == [1, 2, 3]
    assert numbers(feed, 2) == [3]
    assert numbers(feed, 3) == []
    assert [entry.data for entry in feed.after(0) or []] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']


def test_a_reader_that_is_too_slow_is_told_so_and_costs_no_memory() -> None:
    feed = EventFeed(kept=10)
    for _ in range(25):
        feed.publish("state", dict)
    assert numbers(feed, 14) is None
    assert numbers(feed, 15) == list(range(16, 26))


def test_an_id_is_only_known_to_the_server_that_gave_it() -> None:
    feed, other = EventFeed(), EventFeed()
    feed.publish("state", dict)
    assert feed.parse_id(feed.last_id) == 1
    for text in (
        other.last_id,
        f"{feed.server}-2",
        f"{feed.server}--1",
        f"{feed.server}-x",
        "",
        "1",
        "9" * 99,
    ):
        assert feed.parse_id(text) is None


def test_after_a_gap_every_reader_has_to_load_again() -> None:
    feed = EventFeed()
    feed.publish("state", dict)
    feed.mark_gap()
    assert numbers(feed, 1) is None
    feed.publish("state", dict)
    assert numbers(feed, feed.last_number - 1) == [3]


def test_the_text_of_an_event_is_made_once_and_only_if_it_is_read() -> None:
    feed = EventFeed()
    made: list[int] = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"n": 1}

    feed.publish("state", make)
    assert made == []
    (entry,) = feed.after(0) or []
    assert (entry.data, entry.data, made) == (b'{"n":1}', b'{"n":1}', [1])


def test_many_events_of_other_threads_wake_all_readers() -> None:
    feed = EventFeed()

    async def read(count: int) -> list[int]:
        seen: list[int] = []
        with feed.reading() as changed:
            while len(seen) < count:
                changed.clear()
                found = feed.after(seen[-1] if seen else 0) or []
                seen += [entry.number for entry in found]
                if not found:
                    await asyncio.wait_for(changed.wait(), 60)
        return seen

    def publish() -> None:
        for _ in range(200):
            feed.publish("state", dict)

    async def main() -> list[list[int]]:
        readers = [asyncio.create_task(read(800)) for _ in range(20)]
        await asyncio.sleep(0)
        threads = [threading.Thread(target=publish) for _ in range(4)]
        for thread in threads:
            thread.start()
        found = await asyncio.gather(*readers)
        for thread in threads:
            thread.join()
        return found

    assert asyncio.run(main()) == [list(range(1, 801))] * 20
    assert not feed.has_readers


@pytest.mark.parametrize("readers", [0, 1])
def test_a_feed_without_readers_needs_no_event_loop(readers: int) -> None:
    feed = EventFeed()

    async def read() -> None:
        with feed.reading():
            assert feed.has_readers

    if readers:
        asyncio.run(read())
    feed.publish("state", dict)  # its loop is closed
    assert feed.last_number == 1
