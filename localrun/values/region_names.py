"""Names of the regions next to images: `image.geojson`, `images/0.geojson`, `images[0].geojson`.

`images.0.geojson` is accepted too, since errors write the place like that.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

_NAME = re.compile(r"([a-zA-Z0-9_]+)((?:[/.][0-9]{1,9}|\[[0-9]{1,9}\])*)\.(geojson|crop)", re.ASCII)
_SUFFIXES = (".geojson", ".crop")

Role = Literal["region", "crop"]


class RegionName(NamedTuple):
    """The parameter, the place of the image in the input folder (`images/0`), and the role of the geometry.

    A `region` lies in the image. A `crop` is an annotation in a larger image, from which the image is cut.
    """

    parameter: str
    place: str
    role: Role


def parse_region_name(name: str) -> RegionName | None:
    """Return the parts of `PLACE.geojson` (a region) or `PLACE.crop`; None for any other name."""
    found = _NAME.fullmatch(name) if name.endswith(_SUFFIXES) else None
    if found is None:
        return None
    parameter, indexes, suffix = found.groups()
    place = "/".join([parameter, *(str(int(index)) for index in re.findall("[0-9]+", indexes))])
    return RegionName(parameter, place, "crop" if suffix == "crop" else "region")
