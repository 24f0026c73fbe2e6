"""Open an image of any format that localrun accepts, by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO

from localrun.values.image_headers import magic
from localrun.values.rasters import dicom, pillow, tiff
from localrun.values.rasters.raster import FIRST, NoSuchPart, Part, Raster, UnreadableImage

Opener = Callable[[], BinaryIO]


def open_file(opener: Opener, part: Part = FIRST) -> Raster:
    """Open a file. Its pixels are read later, with `opener`. Raises `UnreadableImage`."""
    return _selected(_open_file(opener, part), part)


def _open_file(opener: Opener, part: Part) -> Raster:
    with opener() as file:
        head = file.read(magic.HEAD_SIZE)
    formats = magic.detect_formats(head)
    if "dicom" in formats:  # also behind a TIFF header
        return dicom.open_dicom(opener, part.frame)
    if "tiff" in formats:
        return tiff.open_tiff(opener, part)
    if formats:
        return pillow.open_image(formats[0], opener)
    if head.startswith(magic.ZIP):
        raise UnreadableImage("a zipped slide is not shown", "unpack it: a slide is shown from a folder")
    raise UnreadableImage(f"not an image: {magic.describe_content(head)}", "write PNG, JPEG, TIFF or DICOM")


def open_folder(files: Iterable[tuple[str, Opener]], part: Part = FIRST) -> Raster:
    """Open the whole slide in a folder, whose files have names. Raises `UnreadableImage`."""
    slide = dicom.open_slide((name, opener) for name, opener in files if _is_dicom(opener))
    return _selected(slide, part)


def _selected(raster: Raster, part: Part) -> Raster:
    if part.frame >= raster.frames:
        raise NoSuchPart(f"the image has no frame {part.frame}, only {raster.frames}")
    return raster if part.channel is None else raster.with_channel(part.channel)


def _is_dicom(opener: Opener) -> bool:
    with opener() as file:
        return "dicom" in magic.detect_formats(file.read(magic.HEAD_SIZE))
