"""Generated images with pixels: TIFF files in tiles and strips of every kind, and DICOM slides."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Pixels = np.ndarray[Any, Any]

CODES = {"none": 1, "lzw": 5, "jpeg": 7, "deflate": 8, "packbits": 32773, "jpeg2000": 34712}
_KINDS = {"u": 1, "i": 2, "f": 3}


def gradient(width: int = 300, height: int = 200, *, channels: int = 3, dtype: str = "u1") -> Pixels:
    """Return pixels that differ in all rows, columns and channels."""
    rows, columns = np.mgrid[:height, :width]
    scale = 1 if dtype.endswith("1") else 50
    found = np.stack([(columns + rows * (2 + channel)) * scale for channel in range(channels)], axis=2)
    limit = 256 if dtype.endswith("1") else 65536
    return (found % limit).astype(dtype) if dtype[0] != "f" else found.astype(dtype)


def tiff_bytes(
    pages: Pixels | list[Pixels],
    *,
    packing: str = "deflate",
    tile: int = 64,
    order: str = "<",
    predictor: int = 1,
    planar: bool = False,
    strips: bool = False,
    photometric: int | None = None,
    more: dict[int, list[int]] | None = None,
) -> bytes:
    """Return a TIFF file with an image per page; `strips` of `tile` rows, or tiles."""
    listed = pages if isinstance(pages, list) else [pages]
    data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0))
    link = 4
    for pixels in listed:
        plain = pixels if pixels.ndim == 3 else pixels[..., None]
        parts = [_packed(part, packing, order, predictor) for part in _parts(plain, tile, planar, strips)]
        offsets = []
        for part in parts:
            offsets.append(len(data))
            data += part + b"\0" * (len(part) % 2)
        tags = _tags(plain, packing, tile, predictor, planar, strips, photometric)
        names = (273, 279) if strips else (324, 325)
        tags |= {names[0]: offsets, names[1]: [len(part) for part in parts], **(more or {})}
        struct.pack_into(order + "I", data, link, len(data))
        link = _add_directory(data, tags, order)
    return bytes(data)


def _tags(
    pixels: Pixels,
    packing: str,
    tile: int,
    predictor: int,
    planar: bool,
    strips: bool,
    photometric: int | None,
) -> dict[int, list[int]]:
    height, width, channels = pixels.shape
    tags = {256: [width], 257: [height], 258: [8 * pixels.itemsize] * channels, 259: [CODES[packing]]}
    tags |= {262: [(2 if channels >= 3 else 1) if photometric is None else photometric], 277: [channels]}
    tags |= {284: [2 if planar else 1], 317: [predictor], 339: [_KINDS[pixels.dtype.kind]] * channels}
    tags |= {278: [tile]} if strips else {322: [tile], 323: [tile]}
    return tags | ({338: [2]} if channels == 4 else {})


def _parts(pixels: Pixels, tile: int, planar: bool, strips: bool) -> list[Pixels]:
    height, width, channels = pixels.shape
    planes = [pixels[..., [channel]] for channel in range(channels)] if planar else [pixels]
    found = []
    for plane in planes:
        for top in range(0, height, tile):
            if strips:
                found.append(plane[top : top + tile])
                continue
            for left in range(0, width, tile):
                full = np.zeros((tile, tile, plane.shape[2]), plane.dtype)
                part = plane[top : top + tile, left : left + tile]
                full[: part.shape[0], : part.shape[1]] = part
                found.append(full)
    return found


def _packed(pixels: Pixels, packing: str, order: str, predictor: int) -> bytes:
    if packing in ("jpeg", "jpeg2000"):
        stream = io.BytesIO()
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        options: dict[str, Any] = {"quality": 95} if packing == "jpeg" else {"no_jp2": True}
        image.save(stream, {"jpeg": "JPEG", "jpeg2000": "JPEG2000"}[packing], **options)
        return stream.getvalue()
    if predictor == 2:
        before = np.concatenate([np.zeros_like(pixels[:, :1]), pixels[:, :-1]], axis=1)
        pixels = pixels - before
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    if packing == "deflate":
        return zlib.compress(data)
    if packing in ("lzw", "packbits"):
        return _packed_by_pillow(data, len(data) // len(pixels), packing)
    return data


def _packed_by_pillow(data: bytes, width: int, packing: str) -> bytes:
    stream = io.BytesIO()
    image = Image.frombytes("L", (width, len(data) // width), data)
    name = {"lzw": "tiff_lzw", "packbits": "packbits"}[packing]
    image.save(stream, "TIFF", compression=name, tiffinfo={278: image.height})
    with Image.open(stream) as saved:
        tags: Any = saved.tag_v2  # type: ignore[attr-defined]
        offset, length = tags[273][0], tags[279][0]
    return stream.getvalue()[offset : offset + length]


def _add_directory(data: bytearray, tags: dict[int, list[int]], order: str) -> int:
    """Append a directory. Return the place of the offset of the next one."""
    start = len(data)
    extra = start + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(packed) > 4:
            entries += struct.pack(order + "HHII", tag, 4, len(numbers), extra + len(values))
            values += packed
        else:
            entries += struct.pack(order + "HHI", tag, 4, len(numbers)) + packed
    data += struct.pack(order + "H", len(tags)) + entries + bytes(4) + values
    return start + 2 + 12 * len(tags)


def save_dicom(path: Path, pixels: Pixels, **attributes: Any) -> Path:
    """Write a DICOM file with one frame."""
    frame = pixels if pixels.ndim == 3 else pixels[..., None]
    return _save(path, [frame.tobytes()], frame.shape, pixels.itemsize, attributes)


def save_slide(
    folder: Path, pixels: Pixels, *, tile: int = 64, levels: int = 2, sparse: bool = False
) -> Path:
    """Write a folder with a whole slide: a file for each level, half as large as the one before."""
    folder.mkdir(exist_ok=True)
    for level in range(levels):
        found = pixels[:: 1 << level, :: 1 << level]
        height, width = found.shape[:2]
        frames = [part.tobytes() for part in _parts(found, tile, planar=False, strips=False)]
        attributes: dict[str, Any] = {
            "ImageType": ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED" if level else "NONE"],
            "TotalPixelMatrixColumns": width,
            "TotalPixelMatrixRows": height,
            "NumberOfFrames": len(frames),
            "DimensionOrganizationType": "TILED_SPARSE" if sparse else "TILED_FULL",
        }
        if sparse:
            order = list(range(len(frames)))[::-1]
            attributes["PerFrameFunctionalGroupsSequence"] = _places(order, -(-width // tile), tile)
            frames = [frames[number] for number in order]
        _save(folder / f"{level}.dcm", frames, (tile, tile, 3), 1, attributes)
    return folder


def _places(order: list[int], across: int, tile: int) -> Any:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    found = []
    for number in order:
        place, group = Dataset(), Dataset()
        place.ColumnPositionInTotalImagePixelMatrix = number % across * tile + 1
        place.RowPositionInTotalImagePixelMatrix = number // across * tile + 1
        group.PlanePositionSlideSequence = Sequence([place])
        found.append(group)
    return Sequence(found)


def _save(
    path: Path, frames: list[bytes], shape: tuple[int, ...], size: int, attributes: dict[str, Any]
) -> Path:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta: Any = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data: Any = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.Rows, data.Columns, data.SamplesPerPixel = shape
    data.BitsAllocated = data.BitsStored = 8 * size
    data.HighBit, data.PixelRepresentation = 8 * size - 1, 0
    data.PhotometricInterpretation = "RGB" if shape[2] == 3 else "MONOCHROME2"
    if shape[2] == 3:
        data.PlanarConfiguration = 0
    for name, value in attributes.items():
        setattr(data, name, value)
    data.PixelData = b"".join(frames)
    data["PixelData"].VR = "OW" if size > 1 else "OB"
    data.save_as(path)
    return path


def opener_of(data: bytes | Path) -> Callable[[], Any]:
    """Return a function that opens bytes or a file. The bytes are put into a file without a name."""
    if isinstance(data, Path):
        return lambda: data.open("rb")
    import tempfile

    def opened() -> Any:
        file = tempfile.TemporaryFile()  # noqa: SIM115
        file.write(data)
        file.seek(0)
        return file

    return opened
