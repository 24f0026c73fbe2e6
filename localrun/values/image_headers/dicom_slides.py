"""Check whole-slide images, which are many DICOM files in a zip or a folder.

App Engine: every file must be DICOM; a zip is unpacked into a folder of the input's name.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import partial
from typing import IO, BinaryIO

from localrun.descriptor.types import Image, Notes
from localrun.undecodable import quote
from localrun.values.image_headers import dicom, magic, zips
from localrun.values.image_headers.bounded_reader import BoundedReader, CorruptFile, ImageHeader

_HEADER = 4 * 1024**2  # bytes at the start of a DICOM file that contain the size of the image
_MAX_PROBLEMS = 20  # for one slide

SlideFiles = Iterable[tuple[str, Callable[[], IO[bytes]], int]]  # name, a function to open it, bytes


def check_files(kind: Image, files: SlideFiles, notes: Notes) -> None:
    """Check the files of a slide. The largest file determines the size of the image."""
    found = list(files)
    if not found:
        notes.error("contains no DICOM file", "add the files of the slide")
    problems = 0
    for name, open_file, _ in found:
        with open_file() as file:
            if "dicom" in magic.detect_formats(file.read(magic.HEAD_SIZE)):
                continue
        notes.error(f"not a DICOM file: {quote(name[:200])}", "remove it")
        problems += 1
        if problems == _MAX_PROBLEMS:
            return
    if not problems and found and (kind.max_width is not None or kind.max_height is not None):
        _check_size(kind, max(found, key=lambda file: file[2]), notes)


def _check_size(kind: Image, largest: tuple[str, Callable[[], IO[bytes]], int], notes: Notes) -> None:
    name, open_file, _ = largest
    try:
        with open_file() as file:
            head = file.read(_HEADER)
        header = dicom.read_header(BoundedReader(io.BytesIO(head), len(head)))
    except CorruptFile as error:
        notes.error(f"corrupt DICOM file {quote(name)}: {error}", "copy it again")
        return
    check_dimensions(kind, header, notes)


def check_dimensions(kind: Image, header: ImageHeader, notes: Notes) -> None:
    for name, pixels, limit in (
        ("wide", header.width, kind.max_width),
        ("high", header.height, kind.max_height),
    ):
        if limit is not None and pixels > limit:
            notes.error(f"is {pixels} pixels {name}, expected at most {limit}", "use a smaller image")


def check_zip(kind: Image, file: BinaryIO, size: int, notes: Notes) -> None:
    """Check a zip without unpacking it: safe names, no zip bomb, only DICOM files."""
    before = len(notes.problems)
    try:
        with zips.open_zip(file, size) as archive:
            members = list(zips.check_members(archive, size, notes))
            if any(item.is_dir() for item in archive.infolist()):
                notes.warn_divergence("image_zip_folder")
            if len(notes.problems) == before:
                files = ((item.filename, partial(archive.open, item), item.file_size) for item in members)
                check_files(kind, files, notes)
    except CorruptFile as error:
        notes.error(f"corrupt zip: {error}", "pack it again")
