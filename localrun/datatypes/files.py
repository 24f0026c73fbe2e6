"""The types whose value is a file: file, image, geometry.

What is in an image or a geometry is not looked at here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from localrun.datatypes.base import DataType, Notes, encodable, misfit, shown

FILE_FORMATS = ("binary", "text")
IMAGE_FORMATS = ("dicom", "jpeg", "png", "tiff", "wsidicom")


@dataclass(frozen=True)
class _Sized(DataType):
    """A file with a largest size in bytes; None: any size."""

    max_file_size: int | None = None
    formats: tuple[str, ...] = ()

    def accept(self, value: Any, notes: Notes) -> Any:
        """Take nothing but files, which are not values of JSON."""
        notes.refuse(misfit(value, "a file"), "give the path of a file: @scan.png")

    def parse(self, text: str, notes: Notes) -> Any:
        """Take nothing but files."""
        notes.refuse(f"{shown(text)} is text, not a file", f"give the path of a file: @{text[:80]}")

    def check_size(self, size: int, notes: Notes) -> None:
        """Refuse a file of more bytes than allowed."""
        if self.max_file_size is not None and size > self.max_file_size:
            notes.refuse(
                f"has {size} bytes, more than {self.max_file_size}",
                "give a smaller one, or raise max_file_size",
            )


class File(_Sized):
    """Any regular file."""

    id: ClassVar[str] = "file"

    def check_head(self, head: bytes, notes: Notes) -> None:
        """Look at the first bytes when only text is allowed; a zero byte is in no text."""
        if self.formats == ("text",) and b"\0" in head:
            notes.refuse("holds binary data, and only text is allowed", "give a text file")


@dataclass(frozen=True)
class Image(_Sized):
    """An image file, or a folder of DICOM files. Widths and heights are in pixels."""

    id: ClassVar[str] = "image"
    max_width: int | None = None
    max_height: int | None = None


class Geometry(DataType):
    """GeoJSON, as an object or as the text of one."""

    id: ClassVar[str] = "geometry"
    text_limit: ClassVar[int] = 64 * 1024**2

    def accept(self, value: Any, notes: Notes) -> Any:
        """Take an object with a type, or a text that is not blank."""
        if isinstance(value, str):
            return self.parse(value, notes)
        if isinstance(value, dict) and isinstance(value.get("type"), str) and _is_json(value):
            return value
        notes.refuse(misfit(value, "a geometry"), "give a GeoJSON object, its text, or a file: @cell.geojson")
        return None

    def parse(self, text: str, notes: Notes) -> Any:
        """Take a text that is not blank, as it is."""
        if text.strip() and encodable(text, notes):
            return text
        notes.refuse("is blank", "give a GeoJSON object, its text, or a file: @cell.geojson")
        return None

    def text(self, value: Any) -> str:
        """The text verbatim; an object without blanks."""
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
