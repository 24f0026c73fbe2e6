"""Open images and rendered views of them, for a limited time and in limited memory."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread

from localrun.report.images.task_files import FoundFile, Identity
from localrun.values.rasters import display
from localrun.values.rasters.display import Level, ValueRange
from localrun.values.rasters.raster import MAX_DECODED, Area, Part, Raster, Size

_THREADS = 2  # that decode images at the same time
_MAX_IMAGES = 16
_MAX_IDLE = 60.0  # seconds that an image stays open after its last use
_MAX_VIEWS = 64 * 1024**2  # bytes of encoded views

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class View:
    """What to render: an area of a part of an image, its size in the view, and the values to show."""

    part: Part
    area: Area
    size: Size
    shown: ValueRange | None

    def tag(self, identity: Identity) -> str:
        """Return the ETag of this view of a file."""
        return hashlib.sha256(repr((identity, self)).encode()).hexdigest()[:32]


@dataclass(slots=True)
class OpenImage:
    """An image with its levels and its range of values. `used` is the time of its last use."""

    raster: Raster
    levels: list[Level]
    shown: ValueRange | None
    used: float


class ImageCache:
    """The images that a server shows. Images are known by the identity of their files, not by their names."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._images: OrderedDict[tuple[Identity, Part], OpenImage] = OrderedDict()
        self._views: OrderedDict[str, tuple[bytes, str]] = OrderedDict()
        self._limiter: anyio.CapacityLimiter | None = None
        self.is_purged = False  # whether a search for idle images is scheduled

    async def run(self, function: Callable[[], Result]) -> Result:
        """Run a function that decodes images in a thread; few of them run at once."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_THREADS)
        return await anyio.to_thread.run_sync(function, limiter=self._limiter)

    def open(self, found: FoundFile, part: Part) -> OpenImage:
        """Return an open image. Raises `UnreadableImage`."""
        now, key = time.monotonic(), (found.identity, part)
        with self._lock:
            self._evict(now)
            known = self._images.get(key)
            if known is not None:
                known.used = now
                self._images.move_to_end(key)
                return known
        raster = found.open_raster(part)
        opened = OpenImage(raster, display.levels_of(raster), display.find_range(raster), now)
        with self._lock:
            self._images[key] = opened
            self._evict(now)
        return opened

    def render(self, found: FoundFile, view: View) -> tuple[bytes, str]:
        """Return a view as a file, and its media type. Raises `UnreadableImage`."""
        key = view.tag(found.identity)
        with self._lock:
            if key in self._views:
                self._views.move_to_end(key)
                return self._views[key]
        raster = self.open(found, view.part).raster
        rendered = display.render(raster, view.area, view.size, view.shown)
        encoded = display.encode(rendered, is_lossy=raster.is_lossy)
        with self._lock:
            self._views[key] = encoded
            while sum(len(data) for data, _ in self._views.values()) > _MAX_VIEWS:
                self._views.popitem(last=False)
        return encoded

    def close_idle(self) -> bool:
        """Close the images that were not used for a while. Return whether others are open."""
        with self._lock:
            self._evict(time.monotonic())
            return bool(self._images)

    def _evict(self, now: float) -> None:
        """Close images that are not in use, and the ones used longest ago if all need too much memory."""
        for key in [key for key, one in self._images.items() if now - one.used > _MAX_IDLE]:
            del self._images[key]
        while len(self._images) > _MAX_IMAGES or (len(self._images) > 1 and self._kept() > MAX_DECODED):
            self._images.popitem(last=False)

    def _kept(self) -> int:
        return sum(one.raster.kept_bytes for one in self._images.values())
