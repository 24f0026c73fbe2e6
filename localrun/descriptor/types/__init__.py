"""Parameter types: their constraints and the validation of values."""

from localrun.descriptor.types.arrays import Array, holds_files
from localrun.descriptor.types.base import DataType, Notes, format_value, trim, type_mismatch
from localrun.descriptor.types.datetime import DateTime
from localrun.descriptor.types.files import File, Image
from localrun.descriptor.types.geometry import Geometry
from localrun.descriptor.types.numeric import Integer, Number
from localrun.descriptor.types.registry import TYPES
from localrun.descriptor.types.scalars import Boolean, Enumeration, String

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
    "format_value",
    "holds_files",
    "trim",
    "type_mismatch",
]
