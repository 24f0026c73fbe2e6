"""What should not matter to a task, and is made different for each of its replicas on purpose.

Each gets another host name, time zone, and seed for the order of Python's sets, and begins in another second.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

# Written so that no list of zones need be in the image: the C library reads name and offset, west of
# Greenwich positive; Java and ICU take them for names of their own, east positive. Between the first two lie
# 26 hours: at any moment they have different dates.
ZONES = ("GMT+12", "GMT-14", "UTC0", "GMT+7", "GMT-5:30", "GMT+3:30", "GMT-9")
START_INTERVAL = (
    1.05  # seconds between the beginnings of two replicas, so that clocks of whole seconds differ
)
HOSTNAME = "hostname"
_SEED = "PYTHONHASHSEED"


@dataclass(frozen=True, slots=True)
class Variation:
    """What one replica is given. `kept` is what its image or its task sets, and is left as it is."""

    hostname: str
    environment: dict[str, str]
    unvaried: dict[str, str]

    @property
    def varied(self) -> dict[str, str]:
        """All that is different, by name."""
        return {HOSTNAME: self.hostname, **self.environment}


def variation_for(
    number: int, image_environment: Collection[str], task_environment: Mapping[str, str]
) -> Variation:
    """The variation of a replica, numbered from 1; the same number gives the same again.

    `image_environment` are `NAME=VALUE` texts. Whoever sets one of the variables means it to be so.
    """
    pairs = (text.partition("=") for text in image_environment)
    theirs = {name: value for name, _, value in pairs} | dict(task_environment)
    ours = {"TZ": ZONES[(number - 1) % len(ZONES)], _SEED: str(number)}
    return Variation(
        f"replica-{number}",
        {name: value for name, value in ours.items() if name not in theirs},
        {name: theirs[name] for name in ours if name in theirs},
    )
