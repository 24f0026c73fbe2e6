"""The samples do what their `expected.json` says, and the analysis in count-cells is right."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import os
import random
import runpy
import struct
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.samples import BASE_IMAGE, remove_new_images, unexpected_outputs

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
CELLS = SAMPLES / "count-cells"

sys.path.insert(0, str(CELLS / "program"))
png: Any = importlib.import_module("png")
segment: Any = importlib.import_module("segment")
outlines: Any = importlib.import_module("outlines")
count_cells: Any = importlib.import_module("count_cells")

WIDTH, HEIGHT = 96, 80


def draw(light: Callable[[int, int], float]) -> Any:
    """A picture from the light at each pixel."""
    levels = (light(x, y) for y in range(HEIGHT) for x in range(WIDTH))
    return png.Picture(WIDTH, HEIGHT, bytes(max(0, min(255, round(value))) for value in levels))


def discs(*places: tuple[float, float, float]) -> Callable[[int, int], float]:
    """Bright discs (x, y, radius) on black."""
    return lambda x, y: 120.0 * any(math.hypot(x - cx, y - cy) < r for cx, cy, r in places)


def count(picture: Any, threshold: int | None = None, min_size: int = 40) -> int:
    return len(segment.find_cells(picture, threshold=threshold, min_size=min_size))


# -- finding cells ----------------------------------------------------------------------------------


def test_cells_apart_are_counted() -> None:
    assert count(draw(discs((20, 20, 8), (60, 20, 8), (40, 60, 8)))) == 3


def test_cells_that_touch_are_told_apart() -> None:
    assert count(draw(discs((30, 40, 9), (45, 40, 8)))) == 2


def test_three_cells_in_a_row_are_told_apart() -> None:
    assert count(draw(discs((20, 40, 9), (36, 40, 9), (52, 40, 9)))) == 3


def test_a_long_cell_stays_one() -> None:
    # Given a cell twice as long as it is wide
    long = draw(lambda x, y: 120.0 * (((x - 45) / 16) ** 2 + ((y - 40) / 8) ** 2 < 1))

    # Then nothing is cut
    assert count(long) == 1


def test_a_cell_that_the_edge_of_the_picture_cuts_stays_one() -> None:
    assert count(draw(discs((2, 40, 12)))) == 1


def test_light_that_grows_across_the_picture_makes_no_cells_and_hides_none() -> None:
    # Given light that differs by more across the picture than a cell differs from its surroundings
    cell = discs((15, 20, 8), (80, 60, 8))
    picture = draw(lambda x, y: 1.2 * x + cell(x, y) * 0.5)

    # Then both cells are found, and only they
    assert count(picture) == 2


def test_an_empty_slide_has_no_cells() -> None:
    chance = random.Random(3)
    assert count(draw(lambda x, y: 60 + 0.3 * x + chance.gauss(0, 5))) == 0


def test_a_black_picture_has_no_cells() -> None:
    assert count(draw(lambda x, y: 0)) == 0


def test_specks_under_the_smallest_size_are_not_counted() -> None:
    picture = draw(discs((20, 20, 8), (60, 60, 3)))
    assert (count(picture), count(picture, min_size=10)) == (1, 2)


def test_a_given_threshold_is_taken_instead_of_otsus() -> None:
    # Given a bright and a faint cell
    bright, faint = discs((20, 20, 8)), discs((60, 60, 8))
    picture = draw(lambda x, y: bright(x, y) + faint(x, y) / 3)

    # Then the threshold decides whether the faint one counts
    assert (count(picture, threshold=20), count(picture, threshold=80)) == (2, 1)


def test_a_hole_in_a_cell_belongs_to_the_cell() -> None:
    # Given the same cell with and without a dark middle
    ring = draw(lambda x, y: 120.0 * (5 < math.hypot(x - 40, y - 40) < 12))
    disc = draw(lambda x, y: 120.0 * (math.hypot(x - 40, y - 40) < 12))

    # Then both are the same pixels
    found = [segment.find_cells(picture, threshold=60, min_size=1) for picture in (ring, disc)]
    assert found[0] == found[1]


# -- outlines ---------------------------------------------------------------------------------------


def unit_edges(ring: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The sides of pixels that a closed ring runs along."""
    for (x1, y1), (x2, y2) in itertools.pairwise(ring):
        length = abs(x2 - x1) + abs(y2 - y1)
        dx, dy = (x2 - x1) // length, (y2 - y1) // length
        for i in range(length):
            yield (x1 + i * dx, y1 + i * dy), (x1 + (i + 1) * dx, y1 + (i + 1) * dy)


def check_multipolygon(shape: Any, pixels: int) -> None:
    """What OGC and RFC 7946 ask for, for rings along the sides of pixels.

    Rings on such a grid can only meet in its points. They are simple when none comes to a point twice, and
    two of them do not overlap when no side belongs to both.
    """
    sides: Counter[frozenset[tuple[int, int]]] = Counter()
    for first, *holes in shape["coordinates"]:
        assert outlines.area(first[:-1]) > 0
        assert all(outlines.area(hole[:-1]) < 0 for hole in holes)
        for ring in (first, *holes):
            edges = list(unit_edges(ring))
            assert ring[0] == ring[-1]
            assert len({start for start, _ in edges}) == len(edges)
            sides.update(frozenset(edge) for edge in edges)
    assert all(times == 1 for times in sides.values())
    rings = (ring for polygon in shape["coordinates"] for ring in polygon)
    assert sum(outlines.area(ring[:-1]) for ring in rings) == pixels


@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_outlines_of_any_pixels_are_valid_and_enclose_exactly_them(
    data: st.DataObject, width: int, height: int
) -> None:
    # Given any pixels, in groups that hang together by their sides
    bright = data.draw(st.lists(st.booleans(), min_size=width * height, max_size=width * height))
    groups = segment.components(segment.Grid(width, height), bright)

    # Then the outlines are a valid MultiPolygon whose area is the number of pixels
    check_multipolygon(outlines.multipolygon(groups, width, height), sum(bright))


@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_no_two_cells_share_a_side(data: st.DataObject, width: int, height: int) -> None:
    bright = data.draw(st.lists(st.booleans(), min_size=width * height, max_size=width * height))
    grid = segment.Grid(width, height)
    cells = segment.components(grid, segment.part(grid, bright))
    check_multipolygon(outlines.multipolygon(cells, width, height), sum(map(len, cells)))


def test_a_pocket_that_closes_in_a_corner_becomes_a_hole() -> None:
    # Given eight pixels around a dark one, of which one corner is dark too
    bright = [True, True, True, True, False, True, True, True, False]

    # When their outline is drawn
    (polygon,) = outlines.multipolygon([[i for i, value in enumerate(bright) if value]], 3, 3)["coordinates"]

    # Then the outer ring leaves the pocket out
    assert len(polygon) == 2


# -- pictures ---------------------------------------------------------------------------------------


def png_file(colour: int, rows: list[bytes], width: int, *, depth: int = 8, interlaced: int = 0) -> bytes:
    """A PNG file of rows that begin with their filter."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, interlaced)
    body = zlib.compress(b"".join(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@given(st.integers(1, 8), st.integers(1, 8), st.randoms())
def test_a_picture_survives_being_written_and_read(width: int, height: int, chance: random.Random) -> None:
    picture = png.Picture(width, height, chance.randbytes(width * height))
    assert png.decode(png.encode(picture)) == picture


@pytest.mark.parametrize(
    ("second", "way"),
    [
        (b"\x00\x05\x06\x07", "as it is"),
        (b"\x01\x05\x01\x01", "by the left"),
        (b"\x02\xfb\xf2\xe9", "by the one above"),
        (b"\x03\x00\xfa\xf5", "by the mean of both"),
        (b"\x04\xfb\xf2\xf3", "by Paeth's guess"),
    ],
)
def test_every_way_to_store_a_row_is_read(second: bytes, way: str) -> None:
    data = png_file(0, [b"\x00\x0a\x14\x1e", second], 3)
    assert png.decode(data).pixels == bytes([10, 20, 30, 5, 6, 7]), way


def test_colours_become_grey_and_alpha_is_dropped() -> None:
    pixels = b"\xff\xff\xff\x00" + b"\x00\xff\x00\xff"
    assert png.decode(png_file(6, [b"\x00" + pixels], 2)).pixels == bytes([255, 150])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GIF89a", "begin as a PNG"),
        (b"\x89PNG\r\n\x1a\n", "no header"),
        (png_file(0, [b"\0\0"], 1, interlaced=1), "not interlaced"),
        (png_file(0, [b"\0\0\0"], 1, depth=16), "8-bit"),
        (png_file(3, [b"\0\0"], 1), "grey and RGB"),
        (png_file(0, [b"\0\0"], 2), "2 bytes of pixels where 3"),
        (png_file(0, [b"\x09\0"], 1), "unknown way 9"),
        (png_file(0, [b"\0\0"], 1)[:-20] + b"x" * 20, "damaged"),
    ],
)
def test_what_is_no_such_picture_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(png.PngError, match=reason):
        png.decode(data)


def test_a_picture_that_unpacks_to_more_than_it_says_is_not_unpacked_whole() -> None:
    # Given a row of one pixel, followed by 50 MB of zeros
    data = png_file(0, [b"\0\x07" + bytes(50_000_000)], 1)

    # Then only what the header tells of is read
    assert png.decode(data).pixels == b"\x07"


# -- the sample folders -----------------------------------------------------------------------------


def expected(sample: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((sample / "expected.json").read_text())
    return values


def comparable(value: Any, folder: Path) -> Any:
    """A value, or what is in its file: a picture as its pixels, which may be packed in several ways."""
    if isinstance(value, list):
        return [comparable(item, folder) for item in value]
    text = str(value)
    if not text.startswith(("@", "/")):
        return value
    path = folder / text.removeprefix("@")
    data = path.read_bytes()
    if data.startswith(png.SIGNATURE):
        return png.decode(data)
    return json.loads(data) if data.startswith(b"{") else data


def test_the_program_gives_what_its_sample_expects(tmp_path: Path) -> None:
    # Given the inputs as a task finds them
    values = json.loads((CELLS / "inputs.json").read_text())
    (tmp_path / "image").write_bytes((CELLS / values["image"][1:]).read_bytes())
    (tmp_path / "min_size").write_text(str(values["min_size"]))

    # When it runs
    assert count_cells.main(tmp_path, tmp_path) == 0

    # Then it writes the expected outputs
    want = expected(CELLS)
    assert int((tmp_path / "count").read_text()) == want["count"]
    assert float((tmp_path / "mean_area").read_text()) == want["mean_area"]
    for name in ("mask", "outlines"):
        assert comparable(tmp_path / name, tmp_path) == comparable(want[name], CELLS)


def test_the_expected_outlines_are_valid_and_agree_with_the_mask() -> None:
    want = {name: comparable(value, CELLS) for name, value in expected(CELLS).items()}
    check_multipolygon(want["outlines"], want["mask"].pixels.count(255))
    assert len(want["outlines"]["coordinates"]) == want["count"]


def test_an_image_that_cannot_be_read_fails_the_task_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "image").write_bytes(b"not a picture")
    assert count_cells.main(tmp_path, tmp_path) == 1
    assert "does not begin as a PNG file does" in capsys.readouterr().err


def test_the_picture_of_the_sample_is_what_its_script_makes() -> None:
    script = runpy.run_path(str(CELLS / "make_image.py"))
    made = script["picture"](random.Random(script["SEED"]))
    assert made == png.decode((CELLS / "cells.png").read_bytes())


@pytest.mark.docker
def test_the_iexec_sample_gives_what_it_expects(tmp_path: Path) -> None:
    # When the app is run with the inputs of its request
    folder = SAMPLES / "iexec-hello"
    request = json.loads((folder / "request.json").read_text())
    command = [sys.executable, "-m", "localrun", "run", str(folder), "--profile", "iexec", "--json"]
    command += ["--args", request["args"], "--build-arg", f"BASE_IMAGE={BASE_IMAGE}"]
    command += ["--memory", "256Mi", "--secret", f"1={request['secrets']['1']}"]
    (file,) = request["input_files"]
    command += ["--input-file", file.replace("=@", f"=@{folder}/")]
    home = {**os.environ, "LOCALRUN_HOME": str(tmp_path)}
    with remove_new_images(tmp_path):
        ran = subprocess.run(command, env=home, capture_output=True, text=True, check=False)

    # Then it finishes, with the digest of the greeting that is expected
    assert ran.returncode == 0, ran.stderr
    outputs = json.loads(ran.stdout)["outputs"]
    assert {**outputs, **json.loads((folder / "expected.json").read_text())} == outputs
    greeting = Path(json.loads(ran.stdout)["folder"], "outputs/greeting.txt").read_bytes()
    assert greeting == b"Hello, Ada!\nfile 1 has 3 lines\nthere is a secret\n"
    assert request["secrets"]["1"] not in (ran.stdout + ran.stderr)


@pytest.mark.docker
@pytest.mark.parametrize("sample", ["add-integers", "count-cells", "keywords", "ripple-tank"])
def test_a_sample_gives_what_it_expects(sample: str, tmp_path: Path) -> None:
    # When the folder is run as it is
    folder = SAMPLES / sample
    command = [sys.executable, "-m", "localrun", "run", str(folder), "--inputs", str(folder / "inputs.json")]
    command += ["--json", "--build-arg", f"BASE_IMAGE={BASE_IMAGE}"]
    home = {**os.environ, "LOCALRUN_HOME": str(tmp_path)}
    with remove_new_images(tmp_path):
        ran = subprocess.run(command, env=home, capture_output=True, text=True, check=False)

    # Then it finishes, and its outputs are the expected ones
    assert ran.returncode == 0, ran.stderr
    record = json.loads(ran.stdout)
    assert unexpected_outputs(folder, record["outputs"]) == []
    assert record["warnings"] == []
