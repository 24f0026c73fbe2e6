"""The types whose values are files: file and image. `values` checks the content of images."""

from __future__ import annotations

from typing import Any, ClassVar

from localrun.descriptor.types.base import DataType, Notes, type_mismatch

FILE_FORMATS = ("binary", "text")
IMAGE_FORMATS = ("dicom", "jpeg", "png", "tiff", "wsidicom")


class _Sized(DataType, frozen=True):
    """A file with a maximum size in bytes (None: any size). A JSON value or text is never one."""

    max_file_size: int | None = None
    formats: tuple[str, ...] = ()

    def validate(self, value: Any, notes: Notes) -> Any:
        notes.error(type_mismatch(value, "a file"), "pass a file path, e.g. @scan.png")

    def parse(self, text: str, notes: Notes) -> Any:
        notes.error(type_mismatch(text, "a file"), f"pass a file path with @, e.g. @{text[:80]}")

    def check_size(self, size: int, notes: Notes) -> None:
        if self.max_file_size is not None and size > self.max_file_size:
            message = f"has {size} bytes, expected at most {self.max_file_size}"
            notes.error(message, "use a smaller file, or raise max_file_size")


class File(_Sized, frozen=True):
    """Any regular file."""

    id: ClassVar[str] = "file"

    def check_head(self, head: bytes, notes: Notes) -> None:
        """Report binary data (a zero byte) in the first bytes if only text is allowed."""
        if self.formats == ("text",) and b"\0" in head:
            notes.error("contains binary data, expected text", "use a text file")


class Image(_Sized, frozen=True):
    """An image file or a folder of DICOM files. Width and height are in pixels."""

    id: ClassVar[str] = "image"
    max_width: int | None = None
    max_height: int | None = None
