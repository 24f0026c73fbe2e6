"""An image as layers of pixels: its full resolution, and lower ones that its file stores."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

    Pixels = np.ndarray[Any, Any]  # rows, columns, channels

MAX_DECODED = 512 * 1024**2  # bytes of pixels that are decoded at once
MAX_READ = 256 * 1024**2  # pixels that are decoded for one view of an image
# what Pillow, numpy and pydicom raise for damaged files
DAMAGED = (
    *(ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, NotImplementedError),
    *(OSError, RuntimeError, SyntaxError, TypeError, ValueError, struct.error, zlib.error),
)

_decoding = threading.Lock()  # one image at a time: each takes up to MAX_DECODED

Color = Literal["gray", "gray+alpha", "rgb", "rgba"]
Size = tuple[int, int]  # width and height in pixels


class UnreadableImage(ValueError):
    """An image cannot be shown. `needs_package`: an optional package is missing, which `remedy` names."""

    def __init__(self, message: str, remedy: str = "", *, needs_package: bool = False) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.needs_package = needs_package


class NoSuchPart(UnreadableImage):
    """An image has fewer frames or channels."""


class Part(NamedTuple):
    """A frame of an image, counted from 0, and one of its channels; None: all that are colors."""

    frame: int = 0
    channel: int | None = None


FIRST = Part()


class Area(NamedTuple):
    """A rectangle of pixels, with the origin in the top left corner; `right` and `bottom` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        return self.right - self.left, self.bottom - self.top

    def scaled(self, factor: float, limits: Size) -> Area:
        """Return the smallest area around this one times `factor`, inside of an image of size `limits`."""
        left, top = min(int(self.left * factor), limits[0] - 1), min(int(self.top * factor), limits[1] - 1)
        right, bottom = -int(-self.right * factor // 1), -int(-self.bottom * factor // 1)
        return Area(left, top, min(max(right, left + 1), limits[0]), min(max(bottom, top + 1), limits[1]))


class Layer(Protocol):
    """One stored resolution of an image."""

    @property
    def size(self) -> Size: ...

    def cost(self, area: Area) -> int:
        """Return the number of pixels that are decoded to read an area."""

    def read(self, area: Area, step: int) -> Pixels:
        """Return every `step`th pixel of an area. Raises `UnreadableImage`."""


@dataclass(slots=True)
class TiledLayer:
    """A resolution that is stored in tiles, or in strips, which are tiles of the whole width.

    `decode` returns the pixels of the tile in a column and a row.
    """

    size: Size
    tile: Size
    decode: Callable[[int, int], Pixels]

    def cost(self, area: Area) -> int:
        columns = (area.right - 1) // self.tile[0] - area.left // self.tile[0] + 1
        rows = (area.bottom - 1) // self.tile[1] - area.top // self.tile[1] + 1
        return columns * rows * self.tile[0] * self.tile[1]

    def read(self, area: Area, step: int) -> Pixels:
        import numpy as np

        xs, ys = _samples(area.left, area.right, step), _samples(area.top, area.bottom, step)
        columns, rows = xs // self.tile[0], ys // self.tile[1]
        canvas: Pixels | None = None
        for row, column in product(np.unique(rows).tolist(), np.unique(columns).tolist()):
            pixels = self.decode(column, row)
            if canvas is None:
                canvas = np.zeros((len(ys), len(xs), pixels.shape[2]), pixels.dtype)
            down, across = np.flatnonzero(rows == row), np.flatnonzero(columns == column)
            part = pixels[ys[down] - row * self.tile[1]][:, xs[across] - column * self.tile[0]]
            canvas[down[0] : down[-1] + 1, across[0] : across[-1] + 1] = part
        assert canvas is not None
        return canvas


@dataclass(slots=True)
class WholeLayer:
    """A resolution that can only be decoded as a whole. The pixels are kept."""

    size: Size
    decode: Callable[[], Pixels]
    _pixels: Pixels | None = None

    def cost(self, area: Area) -> int:  # noqa: ARG002
        return self.size[0] * self.size[1]

    def read(self, area: Area, step: int) -> Pixels:
        with _decoding:
            if self._pixels is None:
                self._pixels = self.decode()
        xs, ys = _samples(area.left, area.right, step), _samples(area.top, area.bottom, step)
        return self._pixels[ys][:, xs]

    @property
    def kept_bytes(self) -> int:
        return 0 if self._pixels is None else int(self._pixels.nbytes)


@dataclass(slots=True)
class ChannelLayer:
    """One channel of a layer."""

    layer: Layer
    channel: int

    @property
    def size(self) -> Size:
        return self.layer.size

    def cost(self, area: Area) -> int:
        return self.layer.cost(area)

    def read(self, area: Area, step: int) -> Pixels:
        return self.layer.read(area, step)[..., self.channel : self.channel + 1]

    @property
    def kept_bytes(self) -> int:
        return int(getattr(self.layer, "kept_bytes", 0))


@dataclass(slots=True, kw_only=True)
class Raster:
    """An open image, or one of its frames. `layers` start with the full resolution.

    `channels` is their number in the file, of which the layers have those that are shown. `window` are the
    values to show as black and white, if the file names them. `notes` say what is not shown. `is_lossy`: the
    file is compressed with losses, so that a view may be, too.
    """

    format: str
    channels: int
    bits: int
    color: Color
    layers: list[Layer]
    frames: int = 1
    window: tuple[float, float] | None = None
    is_inverted: bool = False
    is_lossy: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> Size:
        return self.layers[0].size

    @property
    def kept_bytes(self) -> int:
        return sum(getattr(layer, "kept_bytes", 0) for layer in self.layers)

    def with_channel(self, channel: int) -> Raster:
        """Return one channel as an image in gray. Raises `NoSuchPart`."""
        if channel >= self.channels:
            raise NoSuchPart(f"the image has no channel {channel}, only {self.channels}")
        layers: list[Layer] = [ChannelLayer(layer, channel) for layer in self.layers]
        return replace(self, layers=layers, color="gray")

    def cost(self, area: Area, size: Size) -> int:
        """Return the number of pixels to decode for a view of this size."""
        layer, inner = self._best(area, size)
        return layer.cost(inner)

    def read(self, area: Area, size: Size) -> Pixels:
        """Return the pixels of an area, with at most about twice the `size` of the view.

        Raises `UnreadableImage`, also if too many pixels would have to be decoded.
        """
        layer, inner = self._best(area, size)
        if layer.cost(inner) > MAX_READ:
            raise UnreadableImage(
                f"{self.size[0]} x {self.size[1]} pixels are too many to scale down at once",
                "save the image with a pyramid of resolutions, or view a part of it",
            )
        step = max(1, min(inner.size[0] // (2 * size[0]), inner.size[1] // (2 * size[1])))
        try:
            return layer.read(inner, step)
        except UnreadableImage:
            raise
        except DAMAGED as error:
            raise UnreadableImage(
                f"cannot decode the pixels: {str(error) or type(error).__name__}"
            ) from error

    def _best(self, area: Area, size: Size) -> tuple[Layer, Area]:
        """Return the smallest layer with enough pixels, and the area in it."""
        for layer in reversed(self.layers):
            factor = layer.size[0] / self.size[0]
            inner = area.scaled(factor, layer.size)
            if inner.size[0] >= size[0] and inner.size[1] >= size[1]:
                return layer, inner
        return self.layers[0], area


def _samples(start: int, end: int, step: int) -> Pixels:
    """Return the positions in the middle of each `step`."""
    import numpy as np

    return np.arange(min(start + step // 2, end - 1), end, step)


def check_decoded(size: Size, bytes_per_pixel: int) -> None:
    """Raise `UnreadableImage` if this many pixels take too much memory."""
    needed = size[0] * size[1] * bytes_per_pixel
    if needed > MAX_DECODED:
        from localrun.units import format_bytes

        raise UnreadableImage(
            f"decoding {size[0]} x {size[1]} pixels takes {format_bytes(needed)} of memory,"
            f" limit {format_bytes(MAX_DECODED)}",
            "save the image as a tiled TIFF, or smaller",
        )
