"""The types whose value is a file: file and image. What is in an image is looked at elsewhere."""

from __future__ import annotations

from typing import Any, ClassVar

from localrun.descriptor.types.base import DataType, Notes, format_value, type_mismatch

FILE_FORMATS = ("binary", "text")
IMAGE_FORMATS = ("dicom", "jpeg", "png", "tiff", "wsidicom")


class _Sized(DataType, frozen=True):
    """A file with a largest size in bytes; None: any size."""

    max_file_size: int | None = None
    formats: tuple[str, ...] = ()

    def validate(self, value: Any, notes: Notes) -> Any:
        """Take nothing but files, which are not values of JSON."""
        notes.error(type_mismatch(value, "a file"), "give the path of a file: @scan.png")

    def parse(self, text: str, notes: Notes) -> Any:
        """Take nothing but files."""
        notes.error(f"{format_value(text)} is text, not a file", f"give the path of a file: @{text[:80]}")

    def check_size(self, size: int, notes: Notes) -> None:
        """Refuse a file of more bytes than allowed."""
        if self.max_file_size is not None and size > self.max_file_size:
            notes.error(
                f"has {size} bytes, more than {self.max_file_size}",
                "give a smaller one, or raise max_file_size",
            )


class File(_Sized, frozen=True):
    """Any regular file."""

    id: ClassVar[str] = "file"

    def check_head(self, head: bytes, notes: Notes) -> None:
        """Look at the first bytes when only text is allowed; a zero byte is in no text."""
        if self.formats == ("text",) and b"\0" in head:
            notes.error("holds binary data, and only text is allowed", "give a text file")


class Image(_Sized, frozen=True):
    """An image file, or a folder of DICOM files. Widths and heights are in pixels."""

    id: ClassVar[str] = "image"
    max_width: int | None = None
    max_height: int | None = None
