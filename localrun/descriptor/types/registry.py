"""The parameter types by their names in a descriptor."""

from __future__ import annotations

from localrun.descriptor.types.arrays import Array
from localrun.descriptor.types.base import DataType
from localrun.descriptor.types.datetime import DateTime
from localrun.descriptor.types.files import File, Image
from localrun.descriptor.types.geometry import Geometry
from localrun.descriptor.types.numeric import Integer, Number
from localrun.descriptor.types.scalars import Boolean, Enumeration, String

TYPES: dict[str, type[DataType]] = {
    one.id: one
    for one in (Boolean, Integer, Number, String, Enumeration, DateTime, Geometry, File, Image, Array)
}
