"""Check images by their headers, without decoding them.

The first bytes of a file determine its format, not its name. Width, height and size are checked against the
limits of the type. Decompression bombs are refused.
"""

from __future__ import annotations

from typing import BinaryIO

from localrun.descriptor.types import Image, Notes
from localrun.descriptor.types.files import IMAGE_FORMATS
from localrun.units import format_bytes
from localrun.values.image_headers import dicom, dicom_slides, jpeg, magic, png, tiff
from localrun.values.image_headers.bounded_reader import BoundedReader, CorruptFile, ImageHeader

_READERS = {
    "png": png.read_header,
    "jpeg": jpeg.read_header,
    "tiff": tiff.read_header,
    "dicom": dicom.read_header,
}
_MAX_UNPACKED = 4 * 1024**3  # bytes: the memory of a task by default


def is_zip(head: bytes) -> bool:
    """Return whether a file with these first bytes is treated as a zipped whole-slide image."""
    return head.startswith(magic.ZIP)


def check_image(kind: Image, file: BinaryIO, size: int, notes: Notes) -> None:
    """Check an open image file of `size` bytes. Adds problems to `notes`."""
    head = file.read(magic.HEAD_SIZE)
    kind.check_size(size, notes)
    if is_zip(head):
        if _is_allowed(kind, ("wsidicom",), "a zip", notes):
            dicom_slides.check_zip(kind, file, size, notes)
        return
    found = magic.detect_formats(head)
    if not _is_allowed(kind, found, magic.describe_content(head), notes):
        return
    name = next(one for one in found if one in (kind.formats or IMAGE_FORMATS))
    try:
        header = _header(kind, name, BoundedReader(file, size))
    except CorruptFile as error:
        notes.error(f"corrupt {name}: {error}", "use a valid image")
        return
    if header is not None:
        _check_header(kind, name, header, notes)


def read_header(name: str, file: BinaryIO) -> ImageHeader:
    """Return the header of an open image in the format `name`. Raises `CorruptFile`."""
    return _READERS[name](BoundedReader(file, file.seek(0, 2)))


def check_slide_folder(kind: Image, files: dicom_slides.SlideFiles, notes: Notes) -> None:
    if _is_allowed(kind, ("wsidicom",), "a folder", notes):
        dicom_slides.check_files(kind, files, notes)


def _is_allowed(kind: Image, formats: tuple[str, ...], content: str, notes: Notes) -> bool:
    allowed = kind.formats or IMAGE_FORMATS
    if any(name in allowed for name in formats):
        return True
    names = ", ".join(allowed)
    actual = " and ".join(formats) if formats and "wsidicom" not in formats else content
    expected = names if len(allowed) == 1 else f"one of {names}"
    hint = " (wsidicom as a folder or a zip)" if "wsidicom" in allowed else ""
    notes.error(f"expected {expected}, got {actual}", f"use an image in an allowed format{hint}")
    return False


def _header(kind: Image, name: str, reader: BoundedReader) -> ImageHeader | None:
    # a DICOM file may contain no image, and App Engine does not check that without a limit
    if name == "dicom" and kind.max_width is None and kind.max_height is None:
        return None
    return _READERS[name](reader)


def _check_header(kind: Image, name: str, header: ImageHeader, notes: Notes) -> None:
    dicom_slides.check_dimensions(kind, header, notes)
    if header.unpacked_size > _MAX_UNPACKED:
        memory = format_bytes(header.unpacked_size)
        message = f"decoding {header.width} x {header.height} pixels takes {memory} of memory"
        notes.error(message, "save the image in tiles, or smaller")
    if name == "tiff" and kind.formats:
        if header.is_bigtiff:
            notes.warn_divergence("image_bigtiff")
        elif header.is_tiled or header.samples != 3:
            notes.warn_divergence("image_tiff_kind")
    if not kind.formats and _is_limited(kind) and (name == "dicom" or header.is_bigtiff):
        notes.warn_divergence("image_size_unread")


def _is_limited(kind: Image) -> bool:
    return kind.max_width is not None or kind.max_height is not None
