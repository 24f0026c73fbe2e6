"""Whole-slide images of many DICOM files: in a zip, or in a folder.

App Engine: every file must be DICOM; a zip is unpacked into a folder of the input's name.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from typing import BinaryIO

from localrun.descriptor.types import Image, Notes
from localrun.values.image_headers import dicom, zips
from localrun.values.image_headers.bounded_reader import BoundedReader, CorruptFile, ImageHeader

_HEADER = 4 * 1024**2  # bytes in which a DICOM file tells its size; more would be hopped over
_TOLD = 20  # problems told of one slide

SlideFiles = Iterable[tuple[str, Callable[[], BinaryIO], int]]  # name, how to open it, bytes


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so is DICOM."""
    return head[dicom.MAGIC_AT : dicom.MAGIC_AT + 4] == dicom.MAGIC


def check_files(kind: Image, files: SlideFiles, notes: Notes) -> None:
    """Check the files of a slide; its size is that of the largest file."""
    found = list(files)
    if not found:
        notes.error("holds no DICOM file", "put the files of the slide into it")
    told = 0
    for name, open_file, _ in found:
        with open_file() as file:
            fits = is_dicom(file.read(dicom.MAGIC_AT + 4))
        if not fits:
            told += 1
            notes.error(f"holds {name[:200]!r}, which is no DICOM file", "leave it out")
        if told == _TOLD:
            return
    if not told and found and (kind.max_width is not None or kind.max_height is not None):
        _check_size(kind, max(found, key=lambda one: one[2]), notes)


def _check_size(kind: Image, largest: tuple[str, Callable[[], BinaryIO], int], notes: Notes) -> None:
    name, open_file, _ = largest
    try:
        with open_file() as file:
            head = file.read(_HEADER)
        picture = dicom.read_header(BoundedReader(io.BytesIO(head), len(head)))
    except CorruptFile as error:
        notes.error(f"holds {name!r}, a damaged DICOM file: {error}", "copy it again")
        return
    check_dimensions(kind, picture, notes)


def check_dimensions(kind: Image, picture: ImageHeader, notes: Notes) -> None:
    """Refuse more pixels across or down than allowed."""
    for what, found, most in (
        ("wide", picture.width, kind.max_width),
        ("high", picture.height, kind.max_height),
    ):
        if most is not None and found > most:
            notes.error(f"is {found} pixels {what}, more than {most}", "give a smaller image")


def check_zip(kind: Image, file: BinaryIO, size: int, notes: Notes) -> None:
    """Check a zip without unpacking it: safe names, no bomb, nothing but DICOM."""
    before = len(notes.problems)
    try:
        with zips.open_zip(file, size) as archive:
            members = list(zips.check_members(archive, size, notes))
            if any(item.is_dir() for item in archive.infolist()):
                notes.warn_divergence("image_zip_folder")
            if len(notes.problems) == before:
                files = ((item.filename, _opener(archive, item), item.file_size) for item in members)
                check_files(kind, files, notes)
    except CorruptFile as error:
        notes.error(f"is a damaged zip: {error}", "pack it again")


def _opener(archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        return archive.open(item)  # type: ignore[return-value]

    return opened
