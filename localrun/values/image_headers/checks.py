"""What is in an image, by its header alone: nothing is decoded, whatever its size.

A file is what its first bytes say; its name does not count. Width, height and bytes are checked against the
type's limits, and what could only be decoded as a bomb is refused.
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
_MOST_UNPACKED = 4 * 1024**3  # bytes: as much memory as a task has when its descriptor asks for none


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so is taken for a zipped whole-slide image."""
    return head.startswith(magic.ZIP)


def check_image(kind: Image, file: BinaryIO, size: int, notes: Notes) -> None:
    """Check an open file of `size` bytes; what is wrong with it goes to `notes`."""
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
        picture = _header(kind, name, BoundedReader(file, size))
    except CorruptFile as error:
        notes.error(f"is a damaged {name}: {error}", "give an image that can be read")
        return
    if picture is not None:
        _check_header(kind, name, picture, notes)


def check_slide_folder(kind: Image, files: dicom_slides.SlideFiles, notes: Notes) -> None:
    """Check the files of a folder that stands for one whole-slide image."""
    if _is_allowed(kind, ("wsidicom",), "a folder", notes):
        dicom_slides.check_files(kind, files, notes)


def _is_allowed(kind: Image, found: tuple[str, ...], otherwise: str, notes: Notes) -> bool:
    allowed = kind.formats or IMAGE_FORMATS
    if any(one in allowed for one in found):
        return True
    names = ", ".join(allowed)
    what = " and ".join(found) if found and "wsidicom" not in found else otherwise
    wanted = f"not {names}" if len(allowed) == 1 else f"none of {names}"
    hint = " (as a folder or a zip)" if "wsidicom" in allowed else ""
    notes.error(f"is {what}, {wanted}", f"give an image of a format that is allowed{hint}")
    return False


def _header(kind: Image, name: str, window: BoundedReader) -> ImageHeader | None:
    # a DICOM file need not hold an image, and App Engine looks no further without a limit
    if name == "dicom" and kind.max_width is None and kind.max_height is None:
        return None
    return _READERS[name](window)


def _check_header(kind: Image, name: str, picture: ImageHeader, notes: Notes) -> None:
    dicom_slides.check_dimensions(kind, picture, notes)
    if picture.unpacked_size > _MOST_UNPACKED:
        size = f"{picture.width} x {picture.height} pixels"
        message = f"is {size}, which take {format_bytes(picture.unpacked_size)} of memory at once"
        notes.error(message, "save it in tiles, or smaller")
    if name == "tiff" and kind.formats:
        if picture.is_bigtiff:
            notes.warn_divergence("image_bigtiff")
        elif picture.is_tiled or picture.samples != 3:
            notes.warn_divergence("image_tiff_kind")
    if not kind.formats and _is_limited(kind) and (name == "dicom" or picture.is_bigtiff):
        notes.warn_divergence("image_size_unread")


def _is_limited(kind: Image) -> bool:
    return kind.max_width is not None or kind.max_height is not None
