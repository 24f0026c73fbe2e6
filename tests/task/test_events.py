from __future__ import annotations

import time

from localrun.task.events import KINDS, Event


def test_an_event_is_stamped_with_the_time_it_was_made() -> None:
    before = time.time()
    assert before <= Event("note", "id").time <= time.time()


def test_every_kind_says_what_it_tells() -> None:
    assert all(len(meaning.split()) > 3 for meaning in KINDS.values())
