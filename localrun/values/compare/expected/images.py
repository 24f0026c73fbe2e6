"""Compare images by pixels, which Pillow or (for DICOM) pydicom decode."""

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

_SIDE = 640  # pixels of the longer side of each part of a diff image
_GAP = 8
_RED = (220, 0, 0)
_PLAIN = {"1": "L", "P": "RGBA", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}


class _UndecodableImage(Exception):
    """The pixels cannot be decoded."""


def compare(want: Path, got: Path, tolerance: Tolerance, findings: Findings) -> None:
    """Report by how many pixels an image differs. Folders of DICOM files are compared by bytes."""
    if want.is_dir() or got.is_dir():
        files.compare(want, got, tolerance, findings)
        return
    if filecmp.cmp(want, got, shallow=False):
        return
    try:
        ones, others = _frames(want), _frames(got)
    except _UndecodableImage as error:
        findings.add(f"bytes differ from {want.name}, and the pixels cannot be compared: {error}")
        return
    if len(ones) != len(others):
        findings.add(f"expected {len(ones)} pages, got {len(others)}")
    for index, (one, other) in enumerate(zip(ones, others, strict=False)):
        _frame(one, other, tolerance, findings.child(f"page {index}") if len(ones) > 1 else findings)


def _frame(want: Pixels, got: Pixels, tolerance: Tolerance, findings: Findings) -> None:
    if want.shape != got.shape or want.dtype != got.dtype:
        findings.add(f"expected {_format_shape(want)}, got {_format_shape(got)}")
        return
    apart = abs(_widen(want) - _widen(got))
    if apart.ndim == 3:
        apart = apart.max(axis=2)
    off = apart > tolerance.level
    count, total = int(off.sum()), int(off.size)
    if count <= tolerance.pixels * total:
        return
    y, x = (int(place) for place in divmod(int(apart.argmax()), apart.shape[1]))
    by = f" by more than {tolerance.level:g}" if tolerance.level else ""
    allowed = f"; tolerance: {tolerance.pixels:.4g} of the pixels" if tolerance.pixels else ""
    most = f"largest difference {apart[y, x]:g} at x={x}, y={y}"
    findings.add(
        f"differs in {count} of {total} pixels ({100 * count / total:.3g} %){by}, {most}{allowed}",
        image=_draw(want, got, off),
    )


def _widen(pixels: Pixels) -> Pixels:
    """Return pixels in a type that can represent their differences."""
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2:
        return pixels.astype("int32")
    return pixels.astype("float64")


def _format_shape(pixels: Pixels) -> str:
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
        raise _UndecodableImage("install Pillow or localrun-tasks[pytest]") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                pages = ImageSequence.Iterator(image)
                return [np.asarray(page.convert(_PLAIN.get(page.mode, page.mode))) for page in pages]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _UndecodableImage(str(error)) from error


def _dicom(path: Path) -> list[Pixels]:
    try:
        import pydicom
    except ImportError:
        raise _UndecodableImage("install pydicom for DICOM images") from None
    try:
        read = pydicom.dcmread(path)
        pixels = read.pixel_array
        return list(pixels) if int(read.get("NumberOfFrames") or 1) > 1 else [pixels]
    except (OSError, ValueError, AttributeError, NotImplementedError, RuntimeError) as error:
        raise _UndecodableImage(str(error)) from error


def _draw(want: Pixels, got: Pixels, off: Pixels) -> DiffImage | None:
    """Draw side by side: expected, actual, and the different pixels in red on gray."""
    with suppress(ImportError):
        from PIL import Image

        parts = [_scale(want), _scale(got), _mark(want, off)]
        width, height = parts[0].size
        canvas = Image.new("RGB", (3 * width + 2 * _GAP, height), "white")
        for index, part in enumerate(parts):
            canvas.paste(part, (index * (width + _GAP), 0))
        stream = io.BytesIO()
        canvas.save(stream, "png")
        return DiffImage(".png", stream.getvalue())
    return None


def _scale(pixels: Pixels) -> Any:
    from PIL import Image

    image = Image.fromarray(_to_bytes(pixels)).convert("RGB")
    factor = _SIDE / max(image.size)
    if factor > 1:  # show the pixels of small images
        return image.resize([side * max(1, int(factor)) for side in image.size], Image.Resampling.NEAREST)
    image.thumbnail((_SIDE, _SIDE))
    return image


def _to_bytes(pixels: Pixels) -> Pixels:
    import numpy as np

    visible = pixels[..., :3] if pixels.ndim == 3 and pixels.shape[2] > 3 else pixels
    visible = visible[..., 0] if visible.ndim == 3 and visible.shape[2] < 3 else visible
    if visible.dtype == np.uint8:
        return np.ascontiguousarray(visible)
    plain = np.nan_to_num(visible.astype("float64"))
    low, high = plain.min(), plain.max()
    scaled: Pixels = ((plain - low) * (255 / (high - low or 1))).astype(np.uint8)
    return scaled


def _mark(want: Pixels, off: Pixels) -> Any:
    import numpy as np
    from PIL import Image

    gray = _to_bytes(want)
    gray = gray.mean(axis=2) if gray.ndim == 3 else gray
    marked = np.array(_scale((gray * 0.4 + 150).astype(np.uint8)))
    height, width = marked.shape[:2]
    if height < off.shape[0]:  # show even a single pixel of a large image
        rows, columns = off.nonzero()
        marked[rows * height // off.shape[0], columns * width // off.shape[1]] = _RED
    else:
        factor = height // off.shape[0]
        marked[off.repeat(factor, axis=0).repeat(factor, axis=1)] = _RED
    return Image.fromarray(marked)
