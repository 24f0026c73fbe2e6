"""DICOM images, and whole slides of many DICOM files. Needs pydicom, and decodes single frames."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from localrun.values.image_headers import dicom, jpeg
from localrun.values.image_headers.bounded_reader import BoundedReader, CorruptFile
from localrun.values.rasters.raster import (
    DAMAGED,
    Color,
    Layer,
    Raster,
    Size,
    TiledLayer,
    UnreadableImage,
    check_decoded,
)

if TYPE_CHECKING:
    from localrun.values.rasters.raster import Pixels

Opener = Callable[[], BinaryIO]
SlideFiles = Iterable[tuple[str, Opener]]

_LOSSY = ("4.50", "4.51", "4.81", "4.91")  # ends of the transfer syntaxes of JPEG, JPEG-LS, JPEG 2000
_MAX_FILES = 1000  # of a slide
_MAX_INFLATED = 256 * 1024**2  # bytes
_CHUNK = 64 * 1024
_PIXELS_AT = 12  # bytes of the tag of compressed pixels
_JPEG_2000 = b"\xff\x4f\xff\x51"
_MAX_FRAMES = 1_000_000
_ASPECT = 0.02
_TAGS = (
    *("Rows", "Columns", "TotalPixelMatrixColumns", "TotalPixelMatrixRows", "NumberOfFrames", "ImageType"),
    *("SamplesPerPixel", "BitsAllocated", "BitsStored", "PhotometricInterpretation", "WindowCenter"),
    *("WindowWidth", "RescaleSlope", "RescaleIntercept", "DimensionOrganizationType"),
    "PerFrameFunctionalGroupsSequence",
)
_NO_PYDICOM = "DICOM images are shown with pydicom, which is not installed"
_INSTALL = "install it with `pip install 'localrun-tasks[dicom]'`"


def open_dicom(opener: Opener, frame: int = 0) -> Raster:
    """Return a frame of the image in a DICOM file. Raises `UnreadableImage`."""
    file = _DicomFile.read("the file", opener)
    if file.whole is not None:
        return _slide([file], "dicom")
    layer = TiledLayer(file.tile, file.tile, lambda _column, _row: file.frame(frame))
    return _raster(file, [layer], "dicom")


def open_slide(files: SlideFiles) -> Raster:
    """Return a whole slide: each file is a resolution of it, or a label. Raises `UnreadableImage`."""
    found = [_DicomFile.read(name, opener) for name, opener in list(files)[:_MAX_FILES]]
    if not found:
        raise UnreadableImage("contains no DICOM file", "write the files of the slide")
    return _slide(found, "wsidicom")


def _slide(files: list[_DicomFile], name: str) -> Raster:
    tiled = sorted(
        (file for file in files if file.whole is not None and file.flavor in ("VOLUME", "")),
        key=lambda file: file.size,
        reverse=True,
    )
    if not tiled:  # the largest file is the image, as in App Engine
        largest = max(files, key=lambda file: file.size[0] * file.size[1])
        layer = TiledLayer(largest.tile, largest.tile, lambda _column, _row: largest.frame(0))
        return _raster(largest, [layer], name)
    full = tiled[0]
    layers: dict[Size, Layer] = {}
    for file in tiled:
        shape = file.size[0] / full.size[0] / (file.size[1] / full.size[1])
        if abs(shape - 1) <= max(_ASPECT, 1 / min(file.size)) and file.samples == full.samples:
            layers.setdefault(file.size, TiledLayer(file.size, file.tile, file.slide_tile))
    return _raster(full, list(layers.values()), name)


def _raster(file: _DicomFile, layers: list[Layer], name: str) -> Raster:
    color: Color = "rgb" if file.samples >= 3 or file.photometric == "PALETTE COLOR" else "gray"
    return Raster(
        format=name,
        channels=file.samples,
        bits=file.bits,
        color=color,
        layers=layers,
        frames=1 if file.whole else file.frames,
        window=file.window,
        is_inverted=file.photometric == "MONOCHROME1",
        is_lossy=file.syntax.endswith(_LOSSY),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _DicomFile:
    """The attributes of one file that its pixels are read with.

    `whole` is the size of the slide that the frames are tiles of; None for other images. `places` maps the
    column and row of a tile to its frame; None: all tiles are there, in rows.
    """

    opener: Opener
    tile: Size
    whole: Size | None
    frames: int
    samples: int
    bits: int
    photometric: str
    syntax: str
    flavor: str
    window: tuple[float, float] | None
    slope: float
    intercept: float
    places: dict[tuple[int, int], int] | None

    @property
    def size(self) -> Size:
        return self.whole or self.tile

    @classmethod
    def read(cls, name: str, opener: Opener) -> _DicomFile:
        try:
            import pydicom
        except ImportError as error:
            raise UnreadableImage(_NO_PYDICOM, _INSTALL, needs_package=True) from error
        with opener() as file:
            _check_header(name, file)
            try:
                return cls._of(
                    pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS)), opener
                )
            except UnreadableImage:
                raise
            except DAMAGED as error:
                raise UnreadableImage(f"corrupt DICOM file {name}: {error}", "write a valid image") from error

    @classmethod
    def _of(cls, data: Any, opener: Opener) -> _DicomFile:
        get = data.get
        tile = int(data.Columns), int(data.Rows)
        width, height = int(get("TotalPixelMatrixColumns", 0)), int(get("TotalPixelMatrixRows", 0))
        samples, bits = int(get("SamplesPerPixel", 1)), int(get("BitsAllocated", 8))
        if not all(tile):
            raise UnreadableImage("the DICOM file has no rows and columns, so it is not an image")
        check_decoded(tile, samples * 2 * max(1, bits // 8))
        kinds = list(get("ImageType", []))
        return cls(
            opener=opener,
            tile=tile,
            whole=(width, height) if width and height else None,
            frames=min(int(get("NumberOfFrames", 1) or 1), _MAX_FRAMES),
            samples=samples,
            bits=int(get("BitsStored", bits)),
            photometric=str(get("PhotometricInterpretation", "")),
            syntax=str(data.file_meta.TransferSyntaxUID),
            flavor=str(kinds[2]) if len(kinds) > 2 else "",
            window=_window(data),
            slope=float(get("RescaleSlope", 1) or 1),
            intercept=float(get("RescaleIntercept", 0) or 0),
            places=_places(data, tile) if width and height else None,
        )

    def slide_tile(self, column: int, row: int) -> Pixels:
        import numpy as np

        across = -(-self.size[0] // self.tile[0])
        number = row * across + column if self.places is None else self.places.get((column, row), -1)
        if not 0 <= number < self.frames:  # a sparse slide has no background
            return np.full((self.tile[1], self.tile[0], min(self.samples, 3)), 255, np.uint8)
        return self.frame(number)

    def frame(self, number: int) -> Pixels:
        """Return the pixels of a frame. Raises `UnreadableImage`, and what pydicom raises."""
        import numpy as np
        from pydicom.pixels.utils import pixel_array

        with self.opener() as file:
            try:
                self._check_frame(file, number)
                file.seek(0)
                found = pixel_array(file, index=number)
            except UnreadableImage:
                raise
            except DAMAGED as error:
                raise UnreadableImage(f"pydicom cannot decode the pixels: {error}") from error
        shape = (self.tile[1], self.tile[0])
        if found.shape[:2] != shape:
            raise UnreadableImage("corrupt DICOM file: its frames have another size")
        if (self.slope, self.intercept) != (1, 0):
            found = found.astype(np.float32) * self.slope + self.intercept
        return found.reshape(*shape, -1)[..., :3]

    def _check_frame(self, file: BinaryIO, number: int) -> None:
        """Raise `UnreadableImage` if a compressed frame is larger than the file says, such as a bomb."""
        from pydicom import dcmread
        from pydicom.encaps import get_frame
        from pydicom.uid import UID

        if not UID(self.syntax).is_compressed or self.syntax == dicom.DEFLATED.decode():
            return
        dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
        file.seek(_PIXELS_AT, io.SEEK_CUR)
        try:
            size = _coded_size(get_frame(file, number, number_of_frames=self.frames))
        except ValueError:  # frames that are listed elsewhere, or damaged: the decoder decides
            return
        if size is not None and size != self.tile:
            (width, height), (columns, rows) = size, self.tile
            message = f"a frame has {width} x {height} pixels, not {columns} x {rows}"
            raise UnreadableImage(f"corrupt DICOM file: {message}")


def _coded_size(data: bytes) -> Size | None:
    """Return the size in the header of a JPEG or JPEG 2000 image; None for others."""
    if data.startswith(jpeg.SIGNATURE):
        header = jpeg.read_header(BoundedReader(io.BytesIO(data), len(data)))
        return header.width, header.height
    if data.startswith(_JPEG_2000) and len(data) >= 24:
        right, bottom, left, top = struct.unpack(">4I", data[8:24])
        return right - left, bottom - top
    return None


def _check_header(name: str, file: BinaryIO) -> None:
    """Check what pydicom would read into memory. Raises `UnreadableImage`."""
    reader = BoundedReader(file, file.seek(0, 2))
    try:
        dicom.read_header(reader)
        start, syntax = dicom.read_meta(reader)
    except CorruptFile as error:
        raise UnreadableImage(f"corrupt DICOM file {name}: {error}", "write a valid image") from error
    if syntax == dicom.DEFLATED:  # pydicom inflates it at once
        file.seek(start)
        inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while chunk := inflater.unconsumed_tail or file.read(_CHUNK):
            total += len(inflater.decompress(chunk, 16 * _CHUNK))
            if total > _MAX_INFLATED or inflater.eof:
                break
        if total > _MAX_INFLATED:
            raise UnreadableImage("the DICOM file inflates to too many bytes", "save it without compression")
    file.seek(0)


def _window(data: Any) -> tuple[float, float] | None:
    """Return the values that the file asks to show as black and white."""
    try:
        center, width = data.get("WindowCenter"), data.get("WindowWidth")
        first = [float(one[0] if hasattr(one, "__len__") else one) for one in (center, width)]
    except (TypeError, ValueError, IndexError):
        return None
    return (first[0] - first[1] / 2, first[0] + first[1] / 2) if first[1] > 0 else None


def _places(data: Any, tile: Size) -> dict[tuple[int, int], int] | None:
    if str(data.get("DimensionOrganizationType", "TILED_FULL")) == "TILED_FULL":
        return None
    found: dict[tuple[int, int], int] = {}
    for number, frame in enumerate(data.get("PerFrameFunctionalGroupsSequence", [])):
        place = frame.PlanePositionSlideSequence[0]
        x = int(place.ColumnPositionInTotalImagePixelMatrix) - 1
        y = int(place.RowPositionInTotalImagePixelMatrix) - 1
        found.setdefault((x // tile[0], y // tile[1]), number)
    return found
