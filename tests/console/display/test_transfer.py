"""The rate and the remaining time of an operation."""

from __future__ import annotations

import time

from localrun.console.display.transfer import Transfer

MIB = 1024**2


def after(*progress: tuple[float, int], total: int = 0) -> Transfer:
    """Return a transfer with progress at these seconds after its start."""
    transfer = Transfer()
    start = time.monotonic()
    for seconds, done in progress:
        transfer.update(done, total, start + seconds)
    return transfer


def test_the_rate_and_the_remaining_time_are_shown() -> None:
    transfer = after(*((second, 100 * MIB * second) for second in range(1, 5)), total=1000 * MIB)
    assert transfer.amount == "400 MiB of 1000 MiB"
    assert transfer.speed == "100 MiB/s, 6.0 s left"


def test_the_rate_is_that_of_the_last_seconds() -> None:
    slow = [(second, MIB * second) for second in range(1, 21)]
    fast = [(20 + second, 20 * MIB + 50 * MIB * second) for second in range(1, 11)]
    assert after(*slow, *fast).speed == "50 MiB/s"


def test_there_is_no_rate_in_the_first_second() -> None:
    assert after((0.5, 50 * MIB), total=100 * MIB).speed == ""


def test_without_a_total_only_the_rate_is_shown() -> None:
    transfer = after((2, 20 * MIB))
    assert (transfer.amount, transfer.speed) == ("20 MiB", "10 MiB/s")


def test_an_estimated_total_that_is_exceeded_is_not_shown() -> None:
    transfer = after((2, 20 * MIB), total=10 * MIB)
    assert (transfer.amount, transfer.speed) == ("20 MiB", "10 MiB/s")
