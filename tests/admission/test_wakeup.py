"""Wakeups: immediate, never lost, without files."""

from __future__ import annotations

import pytest

from localrun.admission.wakeup import Wakeup, notify


def test_a_ring_before_the_wait_is_heard() -> None:
    with Wakeup() as bell:
        notify([bell.name])
        assert bell.wait(0)


def test_many_rings_are_one_wake() -> None:
    with Wakeup() as bell:
        for _ in range(100):
            notify([bell.name])
        assert bell.wait(0)
        assert not bell.wait(0)


def test_a_wait_that_nobody_ends_ends_by_itself() -> None:
    with Wakeup() as bell:
        assert not bell.wait(0.001)


@pytest.mark.parametrize("name", ["", "localrun-1-" + "0" * 32, "/etc/passwd", "localrun-../x", "\0"])
def test_ringing_where_nobody_is_harms_nobody(name: str) -> None:
    with Wakeup() as bell:
        notify([name, bell.name])
        assert bell.wait(0)
