"""Segment cells: correct the illumination, threshold, and split touching cells."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from png import Picture

TILE = 32  # pixels; the background is estimated once per tile, so a tile must be wider than a cell
FAINT = 10  # grey levels; smaller differences are noise, whatever Otsu's method says
NECK = 4  # the minimum difference between the width of a cell and its neck, in thirds of a pixel


class Grid:
    """The pixels of an image as a flat list, with their neighbours."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height

    def near4(self, at: int) -> Iterator[int]:
        """Return the pixels that share a side with this one."""
        x = at % self.width
        if x:
            yield at - 1
        if x + 1 < self.width:
            yield at + 1
        if at >= self.width:
            yield at - self.width
        if at + self.width < self.width * self.height:
            yield at + self.width

    def near8(self, at: int) -> Iterator[int]:
        """Return the pixels that share a side or a corner with this one."""
        x, y = at % self.width, at // self.width
        for row in range(max(y - 1, 0), min(y + 2, self.height)):
            for column in range(max(x - 1, 0), min(x + 2, self.width)):
                if (column, row) != (x, y):
                    yield row * self.width + column


def find_cells(picture: Picture, *, threshold: int | None, min_size: int) -> list[list[int]]:
    """Return the cells as lists of pixels (`y * width + x`), ordered by their first pixel.

    Without a threshold, Otsu's method finds one (at least `FAINT`). No two cells share the side of a pixel.
    """
    grid = Grid(picture.width, picture.height)
    flat = flatten(picture)
    level = max(otsu(flat), FAINT) if threshold is None else threshold
    bright = fill_holes(grid, [value >= level for value in flat])
    cells = components(grid, part(grid, bright))
    return [cell for cell in cells if len(cell) >= min_size]


def flatten(picture: Picture) -> list[int]:
    """Return the smoothed difference of each pixel from its local background."""
    width, height = picture.width, picture.height
    smooth = _smooth(picture)
    across, down = _tiles(width), _tiles(height)
    backgrounds = [[_background(smooth, width, x, y) for x in across] for y in down]
    horizontal = [_between(x, width, len(across)) for x in range(width)]
    flat = []
    for y in range(height):
        low, high, part_y = _between(y, height, len(down))
        line = [a + (b - a) * part_y for a, b in zip(backgrounds[low], backgrounds[high], strict=True)]
        for x, (left, right, part_x) in enumerate(horizontal):
            value = smooth[y * width + x] - line[left] - (line[right] - line[left]) * part_x
            flat.append(max(0, min(255, round(value))))
    return flat


def _smooth(picture: Picture) -> list[float]:
    """Return the mean of each pixel and its eight neighbours (edges count double) to reduce noise."""
    width, height, pixels = picture.width, picture.height, picture.pixels
    across: list[list[int]] = []
    for y in range(height):
        row = pixels[y * width : (y + 1) * width]
        shifted = zip(row[:1] + row[:-1], row, row[1:] + row[-1:], strict=True)
        across.append([a + b + c for a, b, c in shifted])
    smooth: list[float] = []
    for y in range(height):
        rows = across[max(y - 1, 0)], across[y], across[min(y + 1, height - 1)]
        smooth += [(a + b + c) / 9 for a, b, c in zip(*rows, strict=True)]
    return smooth


def _tiles(length: int) -> list[range]:
    """Return the tiles along one side of the image, each extended by half a tile where possible."""
    number = max(1, round(length / TILE))
    bounds = [length * i // number for i in range(number + 1)]
    tiles = []
    for start, end in itertools.pairwise(bounds):
        margin = min(TILE // 2, start, length - end)  # the same on both sides: the centre stays where it is
        tiles.append(range(start - margin, end + margin))
    return tiles


def _background(pixels: Sequence[float], width: int, xs: range, ys: range) -> float:
    """Return the 25th percentile: cells cover less than three quarters of a tile."""
    values = sorted(pixels[y * width + x] for y in ys for x in xs)
    return values[len(values) // 4]


def _between(at: int, length: int, tiles: int) -> tuple[int, int, float]:
    """Return the two tiles around a pixel and its relative distance from the first, 0 to 1.

    At the edge of the picture it lies up to half a tile before the first centre or after the last one.
    """
    place = (at + 0.5) * tiles / length - 0.5
    low = max(0, min(tiles - 2, math.floor(place)))
    return low, min(low + 1, tiles - 1), place - low


def otsu(values: Sequence[int]) -> int:
    """Return the threshold that best separates the values into two groups (Otsu 1979), at least 1."""
    counts = [0] * 256
    for value in values:
        counts[value] += 1
    total, total_sum = len(values), sum(level * count for level, count in enumerate(counts))
    best, best_level, below, below_sum = 0.0, 255, 0, 0
    for level in range(255):
        below += counts[level]
        below_sum += level * counts[level]
        if 0 < below < total:
            difference = below_sum / below - (total_sum - below_sum) / (total - below)
            spread = below * (total - below) * difference**2
            if spread > best:
                best, best_level = spread, level + 1
    return best_level


def fill_holes(grid: Grid, bright: Sequence[bool]) -> list[bool]:
    """Fill holes: pixels that the background cannot reach from the edge of the image."""
    width, height = grid.width, grid.height
    top = range(width)
    edge = [*top, *(at + width * (height - 1) for at in top)]
    edge += [y * width + x for y in range(height) for x in (0, width - 1)]
    outside = [False] * len(bright)
    waiting = [at for at in edge if not bright[at]]
    while waiting:
        at = waiting.pop()
        if not outside[at]:
            outside[at] = True
            waiting += [other for other in grid.near4(at) if not bright[other] and not outside[other]]
    return [not value for value in outside]


def distances(grid: Grid, bright: Sequence[bool]) -> list[int]:
    """Return the distance of each bright pixel from the background in thirds of a pixel (chamfer 3-4).

    The edge of the picture counts as bright: a cell that it cuts is not parted there.
    """
    far = 3 * (grid.width + grid.height)
    distance = [far if value else 0 for value in bright]
    for order in (range(len(bright)), range(len(bright) - 1, -1, -1)):
        for at in order:
            if distance[at]:
                straight = min((distance[other] for other in grid.near4(at)), default=far) + 3
                any_way = min((distance[other] for other in grid.near8(at)), default=far) + 4
                distance[at] = min(distance[at], straight, any_way)
    return distance


def part(grid: Grid, bright: Sequence[bool]) -> list[bool]:
    """Clear a line one pixel wide where two cells meet at a neck.

    The pixels are taken from the middle of the cells outwards. One without neighbours begins a cell; one
    between two cells is their border, unless one of them is hardly wider than the neck: then they are one.
    """
    distance = distances(grid, bright)
    cells = _Cells(len(bright))
    left = list(bright)
    inside = [at for at, value in enumerate(bright) if value]
    for at in sorted(inside, key=lambda at: (-distance[at], at)):
        around = (cells.of(other) for other in grid.near8(at))
        left[at] = cells.add(at, distance[at], {cell for cell in around if cell is not None})
    return left


class _Cells:
    """Growing cells that may merge. A cell is identified by its pixel with the largest distance."""

    def __init__(self, pixels: int) -> None:
        self._parent: list[int | None] = [None] * pixels
        self._width: dict[int, int] = {}

    def of(self, at: int) -> int | None:
        """Return the cell of a pixel, or None."""
        root, parent = at, self._parent[at]
        while parent is not None and parent != root:
            root, parent = parent, self._parent[parent]
        if parent is not None:
            self._parent[at] = root
        return parent

    def add(self, at: int, distance: int, around: set[int]) -> bool:
        """Assign a pixel to the cells around it; return False if it is the border between them."""
        if not around:
            self._parent[at] = at
            self._width[at] = distance
            return True
        first, *others = sorted(around, key=lambda cell: (-self._width[cell], cell))
        own = [cell for cell in others if self._width[cell] - distance >= NECK]
        for cell in others:
            if cell not in own:
                self._parent[cell] = first
        if not own:
            self._parent[at] = first
        return not own


def components(grid: Grid, bright: Sequence[bool]) -> list[list[int]]:
    """Return the groups of bright pixels connected by sides."""
    seen = [not value for value in bright]
    groups = []
    for start in range(len(seen)):
        if not seen[start]:
            groups.append(_component(grid, seen, start))
    return groups


def _component(grid: Grid, seen: list[bool], start: int) -> list[int]:
    seen[start] = True
    group, waiting = [], [start]
    while waiting:
        at = waiting.pop()
        group.append(at)
        for other in grid.near4(at):
            if not seen[other]:
                seen[other] = True
                waiting.append(other)
    return sorted(group)
