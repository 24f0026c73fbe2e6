"""Variation: environment properties that differ between replicas on purpose, and should not affect a task.

Each replica has its own host name, time zone, and seed for the order of Python's sets. The replicas start
in different seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

# POSIX time zones, which need no zone database in the image. The C library reads the offset as west of
# Greenwich, Java and ICU as east. The first two are 26 hours apart: their dates always differ.
ZONES = ("GMT+12", "GMT-14", "UTC0", "GMT+7", "GMT-5:30", "GMT+3:30", "GMT-9")
START_INTERVAL = 1.05  # seconds from the start of a replica to the next one
HOSTNAME = "hostname"
_SEED = "PYTHONHASHSEED"


@dataclass(frozen=True, slots=True)
class Variation:
    """The varied properties of a replica. `unvaried` are those that its image or task sets."""

    hostname: str
    environment: dict[str, str]
    unvaried: dict[str, str]

    @property
    def varied(self) -> dict[str, str]:
        return {HOSTNAME: self.hostname, **self.environment}


def variation_for(
    number: int, image_environment: Collection[str], task_environment: Mapping[str, str]
) -> Variation:
    """Return the variation of a replica, numbered from 1. It depends only on the number.

    `image_environment` holds `NAME=VALUE` strings. Variables that the image or the task sets are not varied.
    """
    pairs = (item.partition("=") for item in image_environment)
    fixed = {name: value for name, _, value in pairs} | dict(task_environment)
    varied = {"TZ": ZONES[(number - 1) % len(ZONES)], _SEED: str(number)}
    return Variation(
        f"replica-{number}",
        {name: value for name, value in varied.items() if name not in fixed},
        {name: fixed[name] for name in varied if name in fixed},
    )
