"""Read inputs and write outputs."""

import json
import struct
from pathlib import Path

import starmodel  # the package of pyproject.toml

assert starmodel.probability(0, 0) <= 1
INPUTS, OUTPUTS = Path("/inputs"), Path("/outputs")


def size(path):
    return struct.unpack(">2I", path.read_bytes()[16:24])


def text(name, default):
    path = INPUTS / name
    return path.read_text() if path.exists() else default


def items(name):
    return sorted((p for p in (INPUTS / name).iterdir() if p.name.isdigit()), key=lambda path: int(path.name))


def region(image):
    path = image.with_name(f"{image.name}.geojson")
    return json.loads(path.read_text())["coordinates"][0] if path.exists() else None


def square(x, y, half):
    corners = [[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]]
    return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}


def squares(image, step):
    """Return squares on a grid, inside the bounds of the region if there is one."""
    width, height = size(image)
    ring = region(image) or [[0, 0], [width, height]]
    xs, ys = zip(*ring)
    places = [(x, y) for y in range(step // 2, height, step) for x in range(step // 2, width, step)]
    return [square(x, y, 2) for x, y in places if min(xs) < x < max(xs) and min(ys) < y < max(ys)]


def write_array(folder, values):
    folder.mkdir(parents=True, exist_ok=True)
    for index, value in enumerate(values):
        if isinstance(value, list):
            write_array(folder / str(index), value)
        else:
            (folder / str(index)).write_text(json.dumps(value))
    (folder / "array.yml").write_text(f"size: {len(values)}\n")
