"""Check the file of an image in the order and with the messages of App Engine."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

from localrun.descriptor.types import Image, Notes
from localrun.server.appengine.provisioning.invalid_value import InvalidValue
from localrun.values.image_headers import checks, dicom_slides, magic
from localrun.values.image_headers.bounded_reader import CorruptFile, ImageHeader
from localrun.values.image_headers.tiff import BIG

_FORMAT = "invalid image format"
_READ_WITHOUT_FORMATS = ("png", "jpeg", "tiff")  # formats whose size Java reads without plugins


def check_image(kind: Image, path: Path) -> bool:
    """Raise `InvalidValue` for a file that is not such an image; return whether it is a zip to unpack.

    Of a zip only the safety and the format of its members are checked, whatever the formats and limits are.
    """
    with path.open("rb") as file:
        head = file.read(magic.HEAD_SIZE)
        if checks.is_zip(head):
            _check_zip(file)
            return True
        name = _format(kind, head)
        header = _header(kind, name, file)
        if header is not None and kind.max_width is not None and header.width > kind.max_width:
            raise InvalidValue("invalid image width")
        if header is not None and kind.max_height is not None and header.height > kind.max_height:
            raise InvalidValue("invalid image height")
        if kind.max_file_size is not None and file.seek(0, 2) > kind.max_file_size:
            raise InvalidValue("invalid image size")
        if kind.formats and name == "tiff":
            _check_tiff(header or _read(name, file, "invalid image"))
    return False


def has_folders(path: Path) -> bool:
    """Return whether a zip that was checked has entries for folders."""
    with zipfile.ZipFile(path) as archive:
        return any(item.is_dir() for item in archive.infolist())


def _check_zip(file: BinaryIO) -> None:
    notes = Notes("")
    dicom_slides.check_zip(Image(), file, file.seek(0, 2), notes)
    if notes.problems:
        raise InvalidValue(_FORMAT)


def _format(kind: Image, head: bytes) -> str:
    """Return the first allowed format whose signature matches; an empty string for any other file."""
    found = magic.detect_formats(head)
    if not kind.formats:
        return next((name for name in found if name in _READ_WITHOUT_FORMATS), "")
    name = next((name for name in kind.formats if name in found), "")
    if not name or (name == "tiff" and head.startswith(BIG)):
        raise InvalidValue(_FORMAT)
    return name


def _header(kind: Image, name: str, file: BinaryIO) -> ImageHeader | None:
    """Return the header, which is only needed for a limit."""
    if kind.max_width is None and kind.max_height is None:
        return None
    return _read(name, file, "invalid image dimension")


def _read(name: str, file: BinaryIO, message: str) -> ImageHeader:
    try:
        return checks.read_header(name, file)
    except (CorruptFile, KeyError) as error:
        raise InvalidValue(message) from error


def _check_tiff(header: ImageHeader) -> None:
    if header.samples != 3 or header.is_tiled:
        raise InvalidValue("invalid image")
