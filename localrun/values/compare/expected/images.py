"""Images by their pixels: Pillow decodes them, pydicom those of DICOM; both are imported here only."""

from __future__ import annotations

import filecmp
import io
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localrun.values.compare.expected import files
from localrun.values.compare.expected.difference import DiffImage, Findings
from localrun.values.compare.expected.tolerance import Tolerance
from localrun.values.image_headers.magic import detect_formats

if TYPE_CHECKING:
    import numpy as np

    Pixels = np.ndarray[Any, Any]

_SIDE = 640  # pixels of the longer side of each part of a sketch
_GAP = 8
_RED = (220, 0, 0)
_PLAIN = {"1": "L", "P": "RGBA", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}


class _Unread(Exception):
    """The pixels cannot be had; the text says why."""


def compare(want: Path, got: Path, tolerance: Tolerance, findings: Findings) -> None:
    """Say by how many pixels an image differs. Folders of DICOM files are compared by their bytes."""
    if want.is_dir() or got.is_dir():
        files.compare(want, got, tolerance, findings)
        return
    if filecmp.cmp(want, got, shallow=False):
        return
    try:
        ones, others = _frames(want), _frames(got)
    except _Unread as error:
        findings.add(f"differs from {want.name} in its bytes, and its pixels could not be compared: {error}")
        return
    if len(ones) != len(others):
        findings.add(f"has {len(others)} pages, and {len(ones)} are expected")
    for index, (one, other) in enumerate(zip(ones, others, strict=False)):
        _frame(one, other, tolerance, findings.at(f"page {index}") if len(ones) > 1 else findings)


def _frame(want: Pixels, got: Pixels, tolerance: Tolerance, findings: Findings) -> None:
    if want.shape != got.shape or want.dtype != got.dtype:
        findings.add(f"is {_form(got)}, and {_form(want)} is expected")
        return
    apart = abs(_wide(want) - _wide(got))
    if apart.ndim == 3:
        apart = apart.max(axis=2)
    off = apart > tolerance.level
    count, total = int(off.sum()), int(off.size)
    if count <= tolerance.pixels * total:
        return
    y, x = (int(place) for place in divmod(int(apart.argmax()), apart.shape[1]))
    by = f" by more than {tolerance.level:g}" if tolerance.level else ""
    allowed = f"; allowed are {tolerance.pixels:.4g} of them" if tolerance.pixels else ""
    most = f"the most by {apart[y, x]:g}, at x={x}, y={y}"
    findings.add(
        f"differs in {count} of {total} pixels ({100 * count / total:.3g} %){by}, {most}{allowed}",
        image=_sketch(want, got, off),
    )


def _wide(pixels: Pixels) -> Pixels:
    """In a form in which a difference of two pixels has room."""
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2:
        return pixels.astype("int32")
    return pixels.astype("float64")


def _form(pixels: Pixels) -> str:
    channels = f"{pixels.shape[2]} channels" if pixels.ndim == 3 else "1 channel"
    return f"{pixels.shape[1]} x {pixels.shape[0]} pixels with {channels} of {pixels.dtype}"


def _frames(path: Path) -> list[Pixels]:
    with path.open("rb") as stream:
        is_dicom = "dicom" in detect_formats(stream.read(1024))
    return _dicom(path) if is_dicom else _decoded(path)


def _decoded(path: Path) -> list[Pixels]:
    import numpy as np

    try:
        from PIL import Image, ImageSequence
    except ImportError:
        raise _Unread("install Pillow, or localrun-tasks[pytest], which brings it") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                pages = ImageSequence.Iterator(image)
                return [np.asarray(page.convert(_PLAIN.get(page.mode, page.mode))) for page in pages]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _Unread(str(error)) from error


def _dicom(path: Path) -> list[Pixels]:
    try:
        import pydicom
    except ImportError:
        raise _Unread("install pydicom for images of DICOM") from None
    try:
        read = pydicom.dcmread(path)
        pixels = read.pixel_array
        return list(pixels) if int(read.get("NumberOfFrames") or 1) > 1 else [pixels]
    except (OSError, ValueError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise _Unread(str(error)) from error


def _sketch(want: Pixels, got: Pixels, off: Pixels) -> DiffImage | None:
    """Side by side: what is expected, what was found, and the pixels that differ, in red on grey."""
    with suppress(ImportError):
        from PIL import Image

        parts = [_picture(want), _picture(got), _marked(want, off)]
        width, height = parts[0].size
        canvas = Image.new("RGB", (3 * width + 2 * _GAP, height), "white")
        for index, part in enumerate(parts):
            canvas.paste(part, (index * (width + _GAP), 0))
        stream = io.BytesIO()
        canvas.save(stream, "png")
        return DiffImage(".png", stream.getvalue())
    return None


def _picture(pixels: Pixels) -> Any:
    from PIL import Image

    image = Image.fromarray(_bytes(pixels)).convert("RGB")
    factor = _SIDE / max(image.size)
    if factor > 1:  # small ones are shown with their pixels
        return image.resize([side * max(1, int(factor)) for side in image.size], Image.Resampling.NEAREST)
    image.thumbnail((_SIDE, _SIDE))
    return image


def _bytes(pixels: Pixels) -> Pixels:
    import numpy as np

    shown = pixels[..., :3] if pixels.ndim == 3 and pixels.shape[2] > 3 else pixels
    shown = shown[..., 0] if shown.ndim == 3 and shown.shape[2] < 3 else shown
    if shown.dtype == np.uint8:
        return np.ascontiguousarray(shown)
    plain = np.nan_to_num(shown.astype("float64"))
    low, high = plain.min(), plain.max()
    scaled: Pixels = ((plain - low) * (255 / (high - low or 1))).astype(np.uint8)
    return scaled


def _marked(want: Pixels, off: Pixels) -> Any:
    import numpy as np
    from PIL import Image

    grey = _bytes(want)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    marked = np.array(_picture((grey * 0.4 + 150).astype(np.uint8)))
    height, width = marked.shape[:2]
    if height < off.shape[0]:  # a single pixel is to be seen in a small picture of a large image too
        rows, columns = off.nonzero()
        marked[rows * height // off.shape[0], columns * width // off.shape[1]] = _RED
    else:
        factor = height // off.shape[0]
        marked[off.repeat(factor, axis=0).repeat(factor, axis=1)] = _RED
    return Image.fromarray(marked)
