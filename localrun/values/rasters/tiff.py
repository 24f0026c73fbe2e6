"""TIFF images, read in the tiles or strips that they are stored in, at any of their resolutions.

Tiles are decoded here if their compression is a stream of bytes, and by Pillow otherwise: it gets a TIFF file
in memory with just the one tile. Files of any other kind are decoded by Pillow as a whole.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from localrun.units import format_count
from localrun.values.image_headers.bounded_reader import CorruptFile
from localrun.values.pixels import without_size_limit
from localrun.values.rasters import pillow, tiff_pages
from localrun.values.rasters.raster import (
    FIRST,
    Color,
    NoSuchPart,
    Part,
    Raster,
    Size,
    TiledLayer,
    UnreadableImage,
    check_decoded,
)
from localrun.values.rasters.tiff_pages import Opener, TiffPage

if TYPE_CHECKING:
    from localrun.values.rasters.raster import Pixels

_NONE, _LZW, _JPEG, _PACKBITS, _LZMA, _ZSTD, _WEBP = 1, 5, 7, 32773, 34925, 50000, 50001
_DEFLATE = (8, 32946)
_JPEG_2000 = (33003, 33004, 33005, 34712)
_BY_PILLOW = (_LZW, _PACKBITS, _LZMA, _ZSTD)  # as if the bytes were gray levels
_PICTURES = (_JPEG, _WEBP, *_JPEG_2000)
_WHITE_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 2, 3, 6
_KINDS = {1: "u", 2: "i", 3: "f"}
_SEPARATE = 2
_ALPHA = (1, 2)  # kinds of extra samples
_ASPECT = 0.02  # by which the shape of a lower resolution may differ, because of rounding
_MAX_TILE = 64 * 1024**2  # bytes
_STRIP_BYTES = 8 * 1024**2  # of uncompressed strips that are read at once


def open_tiff(opener: Opener, part: Part = FIRST) -> Raster:
    """Return a TIFF image. Only directories are read. Raises `UnreadableImage`.

    Its frames are the pages of the size of the first one. The channels may be more than those that are shown.
    """
    try:
        pages = tiff_pages.read_pages(opener)
        frames = [page for page in pages if page.size == pages[0].size and not page.is_sub]
        if part.frame >= len(frames):
            raise NoSuchPart(f"the image has no frame {part.frame}, only {len(frames)}")
        page = frames[part.frame]
        tiles = _Tiles.of(page, part.channel)
        if tiles is None:
            found = pillow.open_image("tiff", opener, page.position)
            found.notes.extend(_left_out(pages, page, {page.size}))
            return replace(found, frames=len(frames))
        layers = [tiles.layer(), *_lower_layers(_belonging(pages, page), tiles)]
    except CorruptFile as error:
        raise UnreadableImage(f"corrupt tiff: {error}", "write a valid image") from error
    shown: dict[int, Color] = {1: "gray", 2: "gray+alpha", 3: "rgb", 4: "rgba"}
    notes = []
    if tiles.samples > tiles.shown and part.channel is None:
        first = "the first" if tiles.shown == 1 else f"the first {tiles.shown}"
        verb = "is" if tiles.shown == 1 else "are"
        notes.append(f"{first} of {tiles.samples} channels {verb} shown")
    notes += _left_out(pages, page, {layer.size for layer in layers})
    return Raster(
        format="tiff",
        channels=tiles.samples,
        bits=8 * tiles.item_size,
        color=shown[3 if tiles.photometric == _PALETTE else min(tiles.shown, 4)],
        layers=list(layers),
        frames=len(frames),
        is_inverted=tiles.photometric == _WHITE_IS_ZERO,
        is_lossy=tiles.compression in _PICTURES,
        notes=notes,
    )


def _belonging(pages: list[TiffPage], page: TiffPage) -> list[TiffPage]:
    """Return the pages that may be lower resolutions: those below a page, and others of the first one."""
    return [
        one
        for one in pages
        if (one.position == page.position if one.is_sub else page.position == 0 and one is not page)
    ]


def _left_out(pages: list[TiffPage], page: TiffPage, shown: set[Size]) -> list[str]:
    """Return a note, with the first page, on those that are neither frames nor lower resolutions."""
    count = 0 if page.position else sum(not one.is_sub and one.size not in shown for one in pages)
    return [f"{format_count(count, 'image')} of another size in the file not shown"] if count else []


def _lower_layers(pages: list[TiffPage], full: _Tiles) -> list[TiledLayer]:
    """Return the lower resolutions, largest first."""
    found: dict[Size, TiledLayer] = {}
    for page in pages:
        try:
            tiles = _Tiles.of(page, full.channel)
        except (CorruptFile, UnreadableImage):
            continue
        if tiles is not None and _is_lower(tiles, full):
            found.setdefault(tiles.size, tiles.layer())
    return [found[size] for size in sorted(found, reverse=True)]


def _is_lower(tiles: _Tiles, full: _Tiles) -> bool:
    across, down = tiles.size[0] / full.size[0], tiles.size[1] / full.size[1]
    is_same_kind = (tiles.shown, tiles.item_size, tiles.kind) == (full.shown, full.item_size, full.kind)
    tolerance = max(_ASPECT, 1 / min(tiles.size))
    return is_same_kind and across < 1 and down < 1 and abs(across / down - 1) <= tolerance


@dataclass(frozen=True, slots=True)
class _Tiles:
    """How the tiles of one directory are stored. `shown` is the number of channels to show.

    `is_part`: the image is one strip without compression, of which a tile is a number of rows.
    """

    page: TiffPage
    size: Size
    tile: Size
    samples: int
    shown: int
    item_size: int
    kind: str
    compression: int
    photometric: int
    predictor: int
    is_separate: bool
    is_tiled: bool
    channel: int | None = None
    is_part: bool = False

    @classmethod
    def of(cls, page: TiffPage, channel: int | None) -> _Tiles | None:
        """Return how a directory is stored; None if only Pillow may read it. Raises `CorruptFile`.

        `channel` is one that has to be among those that are shown.
        """
        get = page.number
        size, tile, samples = page.size, page.tile_size, get(tiff_pages.SAMPLES, 1)
        if not all((*size, *tile, samples)):
            raise CorruptFile(f"invalid size: {size[0]} x {size[1]} pixels of {samples} samples")
        bits = set(page.numbers(tiff_pages.BITS)) or {1}
        compression, photometric = get(tiff_pages.COMPRESSION, 1), get(tiff_pages.PHOTOMETRIC)
        is_tiled = tiff_pages.TILE_WIDTH in page.tags
        found = cls(
            page=page,
            size=size,
            tile=tile,
            samples=samples,
            shown=min(samples, max(_shown(page, photometric, samples), (channel or 0) + 1)),
            item_size=max(bits) // 8,
            kind=_KINDS.get(get(tiff_pages.SAMPLE_FORMAT, 1), "u"),
            compression=compression,
            photometric=photometric,
            predictor=get(tiff_pages.PREDICTOR, 1),
            is_separate=get(tiff_pages.PLANAR, 1) == _SEPARATE and samples > 1,
            is_tiled=is_tiled,
            channel=channel,
        )
        if len(bits) > 1 or not found._is_supported(max(bits)):
            return None
        rows = max(1, _STRIP_BYTES // found._row_bytes)
        if compression == _NONE and not (is_tiled or found.is_separate) and rows < tile[1] == size[1]:
            found = replace(found, tile=(tile[0], rows), is_part=True)
        if found._tile_bytes > _MAX_TILE:
            check_decoded(size, samples * found.item_size)
            return None
        return found

    def _is_supported(self, bits: int) -> bool:
        if self.photometric not in (_WHITE_IS_ZERO, 1, _RGB, _PALETTE, _YCBCR):
            return False
        if self.compression in _PICTURES:
            return bits == 8 and not self.is_separate and self.photometric != _PALETTE
        is_plain = self.compression in (_NONE, *_DEFLATE, *_BY_PILLOW)
        types = {"u": (8, 16, 32), "i": (8, 16, 32), "f": (32, 64)}
        is_known = bits in types[self.kind] and self.predictor in (1, 2, 3)
        return is_plain and is_known and self.photometric != _YCBCR

    @property
    def _row_bytes(self) -> int:
        return self.tile[0] * self._stored * self.item_size

    @property
    def _stored(self) -> int:
        """The samples of each pixel in one tile."""
        return 1 if self.is_separate else self.samples

    @property
    def _tile_bytes(self) -> int:
        return self._row_bytes * self.tile[1]

    def layer(self) -> TiledLayer:
        return TiledLayer(self.size, self.tile, self.decode)

    def decode(self, column: int, row: int) -> Pixels:
        """Return the pixels of a tile. Raises `UnreadableImage`, and what Pillow and numpy raise."""
        import numpy as np

        across, down = -(-self.size[0] // self.tile[0]), -(-self.size[1] // self.tile[1])
        number = row * across + column
        rows = self.tile[1] if self.is_tiled else min(self.tile[1], self.size[1] - row * self.tile[1])
        if not self.is_separate:
            return self._coloured(self._decode(number, rows)[..., : self.shown])
        planes = [self._decode(plane * across * down + number, rows) for plane in range(self.shown)]
        return self._coloured(np.concatenate(planes, axis=2))

    def _decode(self, number: int, rows: int) -> Pixels:
        data = self._stored_bytes(number, rows)
        if not data:  # a tile that was never written
            import numpy as np

            return np.zeros((rows, self.tile[0], self._stored), self._type("little"))
        if self.compression in _PICTURES:
            return self._picture(data, rows)
        return self._plain(self._unpacked(data, rows), rows)

    def _stored_bytes(self, number: int, rows: int) -> bytes:
        get, expected = self.page.number, rows * self._row_bytes
        if self.is_part:
            return self.page.file.read(
                get(tiff_pages.STRIP_OFFSETS) + number * self.tile[1] * self._row_bytes, expected
            )
        offsets, lengths = (
            (tiff_pages.TILE_OFFSETS, tiff_pages.TILE_BYTES)
            if self.is_tiled
            else (tiff_pages.STRIP_OFFSETS, tiff_pages.STRIP_BYTES)
        )
        offset, length = get(offsets, index=number), get(lengths, index=number)
        if self.compression == _NONE:
            length = min(length, expected)
        if length > 2 * _MAX_TILE:
            raise CorruptFile(f"a tile has {length} bytes")
        return self.page.file.read(offset, length) if offset and length else b""

    def _unpacked(self, data: bytes, rows: int) -> bytes:
        expected = rows * self._row_bytes
        if self.compression in _DEFLATE:
            data = zlib.decompressobj().decompress(data, expected)
        elif self.compression != _NONE:
            data = self._unpacked_by_pillow(data, rows)
        if len(data) < expected:
            raise CorruptFile(f"a tile has {len(data)} bytes of pixels, expected {expected}")
        return data[:expected]

    def _unpacked_by_pillow(self, data: bytes, rows: int) -> bytes:
        # the compression does not know what the bytes mean
        tags = {tiff_pages.BITS: [8], tiff_pages.PHOTOMETRIC: [1], tiff_pages.SAMPLES: [1]}
        image = _single_tile(data, (self._row_bytes, rows), self.compression, tags)
        found: bytes = image.tobytes()
        return found

    def _plain(self, data: bytes, rows: int) -> Pixels:
        import numpy as np

        shape = (rows, self.tile[0], self._stored)
        if self.predictor == 3:
            planes = np.frombuffer(data, np.uint8).reshape(rows, -1)
            summed = _running_sums(planes.reshape(rows, -1, self._stored))
            split = summed.reshape(rows, self.item_size, -1).swapaxes(1, 2)
            return np.ascontiguousarray(split).view(self._type("big")).reshape(shape)
        pixels = np.frombuffer(data, self._type(self.page.order)).reshape(shape)
        return _running_sums(pixels) if self.predictor == 2 else pixels

    def _type(self, order: str) -> str:
        return f"{'<' if order == 'little' else '>'}{self.kind}{self.item_size}"

    def _picture(self, data: bytes, rows: int) -> Pixels:
        """Return the pixels of a tile that is a JPEG, JPEG 2000 or WebP file."""
        from PIL import Image

        size = self.tile[0], rows
        if self.compression == _JPEG:
            get = self.page.numbers
            tags = {tiff_pages.BITS: [8] * self.samples, tiff_pages.SAMPLES: [self.samples]}
            tags[tiff_pages.PHOTOMETRIC] = [self.photometric]
            tags |= {tag: get(tag) for tag in (tiff_pages.JPEG_TABLES, tiff_pages.SUBSAMPLING) if get(tag)}
            image = _single_tile(data, size, _JPEG, tags)
        else:
            with without_size_limit():
                image = Image.open(io.BytesIO(data), formats=("JPEG2000", "WEBP"))
            if image.size != size:
                raise UnreadableImage(f"corrupt tiff: a tile has {image.size[0]} x {image.size[1]} pixels")
            if self.compression == _JPEG_2000[0] and image.mode == "RGB":
                image = Image.frombytes("YCbCr", image.size, image.tobytes())
        pixels = pillow.as_pixels(image)
        return pixels[..., : self.shown]

    def _coloured(self, pixels: Pixels) -> Pixels:
        if self.photometric != _PALETTE:
            return pixels
        import numpy as np

        palette = np.array(self.page.numbers(tiff_pages.PALETTE), np.uint32).reshape(3, -1).T
        found: Pixels = (palette[pixels[..., 0] % len(palette)] >> 8).astype(np.uint8)
        return found


def _shown(page: TiffPage, photometric: int, samples: int) -> int:
    """Return how many channels are shown: colors and their alpha, or the first channel."""
    if photometric not in (_RGB, _YCBCR) or samples < 3:
        return 1
    return 4 if samples == 4 and page.number(tiff_pages.EXTRA_SAMPLES) in _ALPHA else 3


def _running_sums(pixels: Pixels) -> Pixels:
    """Undo the differences between neighbours in a row."""
    import numpy as np

    kind = pixels.dtype.newbyteorder("=")
    unsigned = np.dtype(f"u{kind.itemsize}")
    values = pixels.astype(kind).view(unsigned)
    found: Pixels = np.cumsum(values, axis=1, dtype=unsigned).view(kind)
    return found


def _single_tile(data: bytes, size: Size, compression: int, more: dict[int, list[int]]) -> Any:
    """Return an image of Pillow with one strip, whose compressed bytes are given."""
    from PIL import Image

    tags = {
        tiff_pages.WIDTH: [size[0]],
        tiff_pages.HEIGHT: [size[1]],
        tiff_pages.COMPRESSION: [compression],
        tiff_pages.ROWS: [size[1]],
        tiff_pages.STRIP_BYTES: [len(data)],
        **more,
    }
    start = 8 + 2 + 12 * (len(tags) + 1) + 4  # behind the directory
    extra = b""
    entries: dict[int, tuple[bytes, bytes]] = {}
    for tag, numbers in sorted((tags | {tiff_pages.STRIP_OFFSETS: [0]}).items()):
        kind, size_of, code = (7, 1, "B") if tag == tiff_pages.JPEG_TABLES else (4, 4, "I")
        if tag in (tiff_pages.BITS, tiff_pages.SUBSAMPLING, tiff_pages.COMPRESSION, tiff_pages.PHOTOMETRIC):
            kind, size_of, code = 3, 2, "H"
        packed = struct.pack(f"<{len(numbers)}{code}", *numbers)
        if len(packed) > 4:
            value = struct.pack("<I", start + len(extra))
            extra += packed + b"\0" * (len(packed) % 2)
        else:
            value = packed.ljust(4, b"\0")
        entries[tag] = struct.pack("<HHI", tag, kind, len(packed) // size_of), value
    offsets = struct.pack("<I", start + len(extra))
    entries[tiff_pages.STRIP_OFFSETS] = entries[tiff_pages.STRIP_OFFSETS][0], offsets
    directory = b"".join(first + second for first, second in entries.values())
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    return Image.open(io.BytesIO(head + directory + b"\0" * 4 + extra + data), formats=("TIFF",))
