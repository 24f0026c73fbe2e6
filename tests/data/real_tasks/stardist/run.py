"""Nuclei on a grid; of those, the ones whose centre is in the region next to the image."""

import json
import logging
import struct
import sys
from pathlib import Path

import starmodel  # the package of requirements.txt

logging.basicConfig(level=logging.INFO)
INPUTS, OUTPUTS = Path("/inputs"), Path("/outputs")


def number(name, default):
    path = INPUTS / name
    return float(path.read_text()) if path.exists() else default


def contains(ring, x, y):
    pairs = zip(ring, ring[1:])
    return sum((b > y) != (d > y) and x < (c - a) * (y - b) / (d - b) + a for (a, b), (c, d) in pairs) % 2


def write_array(name, values):
    folder = OUTPUTS / name
    folder.mkdir(exist_ok=True)
    for index, value in enumerate(values):
        (folder / str(index)).write_text(value)
    (folder / "array.yml").write_text(f"size: {len(values)}\n")


width, height = struct.unpack(">2I", (INPUTS / "image").read_bytes()[16:24])
step = int(Path("/models/weights.txt").read_text())
threshold = number("prob_thresh", 0.5)
region = INPUTS / "image.geojson"
ring = json.loads(region.read_text())["coordinates"][0] if region.exists() else None
nuclei, probabilities = [], []
for row in range(step // 2, height, step):
    for column in range(step // 2, width, step):
        sys.stderr.write(f"\r{column}/{width}")
        probability = starmodel.probability(row, column)
        x, y, half = column, height - row, step / 4
        if probability < threshold or (ring and not contains(ring, x, y)):
            continue
        corners = [[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]]
        nuclei.append(json.dumps({"type": "Polygon", "coordinates": [[*corners, corners[0]]]}))
        probabilities.append(str(probability))
logging.info("%d nuclei", len(nuclei))
write_array("nuclei", nuclei)
write_array("probabilities", probabilities)
