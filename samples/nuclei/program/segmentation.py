"""Segmentation of bright nuclei, some of which touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from outlines import star_polygon
from scipy import ndimage

ROUNDNESS = 1.0  # pixels: the standard deviation of the filter for the distance transform
PEAKS = 9  # pixels: the centres of two nuclei are farther apart


@dataclass(frozen=True)
class Nucleus:
    """A nucleus: its centre and outline in GeoJSON coordinates, and its probability."""

    centre: tuple[float, float]
    outline: dict[str, Any]
    probability: float


def find_nuclei(
    pixels: np.ndarray, smoothing: float, min_area: float, min_probability: float
) -> list[Nucleus]:
    """Return the nuclei from top to bottom. `pixels` are grey levels; `smoothing` is in pixels."""
    smooth = ndimage.gaussian_filter(pixels, smoothing)
    threshold = otsu(smooth)
    distance, labels = split(ndimage.binary_fill_holes(smooth > threshold))
    brightest = max(float(np.percentile(smooth, 99)), threshold + 1)
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        mask = labels[box] == label
        light = float(smooth[box][mask].mean()) - threshold
        probability = round(min(max(light / (brightest - threshold), 0.0), 1.0), 4)
        if mask.sum() >= min_area and probability >= min_probability:
            row, column = np.unravel_index(np.argmax(np.where(mask, distance[box], 0)), mask.shape)
            top, left = box[0].start, box[1].start
            x, y = left + column + 0.5, pixels.shape[0] - (top + row + 0.5)
            outline = star_polygon(mask, int(row), int(column), x, y)
            found.append(Nucleus((float(x), float(y)), outline, probability))
    return found


def otsu(levels: np.ndarray) -> float:
    """Return the grey level that best separates the pixels into two classes."""
    if np.ptp(levels) < 1:
        return float(levels.max())  # an image of one grey level
    counts, edges = np.histogram(levels, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(middles[int(np.nanargmax(between))])


def split(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each pixel to the background, and the label of its nucleus (0: background).

    The distance has a peak in each of the nuclei that touch. A pixel belongs to the peak whose disc, with
    the distance at the peak as its radius, is the nearest: a line across the neck is the border between two.
    """
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), ROUNDNESS) * mask
    peaks = (distance == ndimage.maximum_filter(distance, size=PEAKS)) & (distance > 1)
    markers, count = ndimage.label(peaks, structure=np.ones((3, 3)))
    components, _ = ndimage.label(mask)
    members: dict[int, list[tuple[int, int]]] = {}
    for place in ndimage.maximum_position(distance, markers, range(1, count + 1)):
        members.setdefault(int(components[place]), []).append(place)
    labels, made = np.zeros(mask.shape, dtype=np.int32), 0
    for component, box in enumerate(ndimage.find_objects(components), start=1):
        places = np.array(members.get(component, []))
        if len(places):
            rows, columns = np.nonzero(components[box] == component)
            rows, columns = rows + box[0].start, columns + box[1].start
            apart = (rows[:, None] - places[:, 0]) ** 2 + (columns[:, None] - places[:, 1]) ** 2
            nearest = np.argmin(apart - distance[places[:, 0], places[:, 1]] ** 2, axis=1)
            labels[rows, columns] = made + 1 + nearest
            made += len(places)
    return distance, labels
