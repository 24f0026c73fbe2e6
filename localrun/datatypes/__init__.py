"""The types of parameters: their constraints, and the check of one value."""

from localrun.datatypes.arrays import Array, holds_files
from localrun.datatypes.base import DataType, Notes, kind, shown, trim
from localrun.datatypes.files import File, Image
from localrun.datatypes.geometry import Geometry
from localrun.datatypes.moments import DateTime
from localrun.datatypes.numeric import Integer, Number
from localrun.datatypes.scalars import Boolean, Enumeration, String

TYPES: dict[str, type[DataType]] = {
    one.id: one
    for one in (Boolean, Integer, Number, String, Enumeration, DateTime, Geometry, File, Image, Array)
}

__all__ = [
    "TYPES",
    "Array",
    "Boolean",
    "DataType",
    "DateTime",
    "Enumeration",
    "File",
    "Geometry",
    "Image",
    "Integer",
    "Notes",
    "Number",
    "String",
    "holds_files",
    "kind",
    "shown",
    "trim",
]
