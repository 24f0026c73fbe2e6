"""Properties that vary between replicas."""

from __future__ import annotations

import subprocess
import sys

import pytest

from localrun.manager.variation import ZONES, variation_for


def test_every_replica_has_another_host_name_seed_and_time_zone() -> None:
    found = [variation_for(number, (), {}) for number in range(1, len(ZONES) + 1)]
    for name in ("hostname", "TZ", "PYTHONHASHSEED"):
        assert len({one.varied[name] for one in found}) == len(ZONES)


def test_the_same_number_gives_the_same_again() -> None:
    assert variation_for(2, (), {}) == variation_for(2, (), {})


def test_more_replicas_than_zones_can_be_had() -> None:
    assert variation_for(100, (), {}).environment["TZ"] in ZONES


def test_what_the_image_or_the_task_sets_is_left_as_it_is() -> None:
    # Given an image that fixes the seed on purpose, and a task that fixes the zone
    found = variation_for(1, ("PATH=/bin", "PYTHONHASHSEED=0"), {"TZ": "UTC"})

    # Then neither is varied, and both are reported
    assert found.environment == {}
    assert found.unvaried == {"PYTHONHASHSEED": "0", "TZ": "UTC"}
    assert found.varied == {"hostname": "replica-1"}


def offset(zone: str) -> float:
    """Return the UTC offset in hours of a process with this TZ."""
    text = "import time; print(time.strftime('%z'))"
    shown = subprocess.run(
        [sys.executable, "-c", text], env={"TZ": zone}, capture_output=True, text=True, check=True
    ).stdout.strip()
    return (int(shown[:3]) * 60 + int(shown[0] + shown[3:])) / 60


def test_the_first_two_replicas_have_different_dates_at_any_moment() -> None:
    assert abs(offset(ZONES[0]) - offset(ZONES[1])) > 24


@pytest.mark.parametrize("zone", ZONES)
def test_every_zone_is_understood_without_a_list_of_zones(zone: str) -> None:
    assert (offset(zone) == 0) == (zone == "UTC0")
