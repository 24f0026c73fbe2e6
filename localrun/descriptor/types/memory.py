"""Memory and file sizes in a descriptor: `2Gi`, `1.5 G`, `10MB`, `8kb`."""

from __future__ import annotations

import re
from typing import NamedTuple

from localrun.units import PREFIXES

_NUMBER = r"(0|[1-9][0-9]*)(?:\.([0-9]+))?\s*"
# the grammar of the schema, which ignores the rest
_PREFIXED = _NUMBER + r"(Ki|Mi|Gi|Ti|Pi|Ei|Zi|Yi|k|M|G|T|P|E|Z|Y|R|Q)(.*)"
_BARE = _NUMBER + r"()(B|Byte|byte|b|bit|)"
_BITS = ("b", "bit")
UNITS = ("B", "Byte", "byte", *_BITS)  # that App Engine supports
_MAX_LENGTH = 64


class Memory(NamedTuple):
    """A size: its bytes (rounded up), its prefix, and the text after the prefix."""

    bytes: int
    prefix: str
    unit: str
    has_space: bool


def parse(text: str) -> Memory | None:
    """Parse a size; return None if it is invalid."""
    if len(text) > _MAX_LENGTH:
        return None
    found = re.fullmatch(_PREFIXED, text, re.ASCII | re.DOTALL) or re.fullmatch(_BARE, text, re.ASCII)
    if found is None:
        return None
    whole, fraction, prefix, unit = found.groups(default="")
    divisor = 10 ** len(fraction) * (8 if unit in _BITS else 1)
    total = int(whole + fraction) * PREFIXES[prefix]
    return Memory(-(-total // divisor), prefix, unit, " " in text)
