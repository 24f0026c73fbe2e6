from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from localrun.values.rasters import opening, raster
from localrun.values.rasters.raster import Area, NoSuchPart, Part, Raster, TiledLayer, UnreadableImage
from tests.support.rasters import gradient, opener_of, tiff_bytes

PART = Area(30, 50, 250, 170)


def opened(data: bytes) -> Raster:
    return opening.open_file(opener_of(data))


def read(data: bytes, area: Area = PART) -> Any:
    return opened(data).read(area, area.size)


@pytest.mark.parametrize("packing", ["none", "deflate", "lzw", "packbits"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "f4"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_samples_is_read_exactly(packing: str, dtype: str, channels: int) -> None:
    pixels = gradient(channels=channels, dtype=dtype)
    for order in "<>":
        found = read(tiff_bytes(pixels, packing=packing, order=order))
        assert (found == pixels[50:170, 30:250]).all()


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param({"strips": True, "tile": 16}, id="strips"),
        pytest.param({"strips": True, "tile": 200, "packing": "none"}, id="one strip"),
        pytest.param({"strips": True, "tile": 1}, id="a strip per row"),
        pytest.param({"planar": True}, id="separate channels"),
        pytest.param({"planar": True, "strips": True, "packing": "none"}, id="separate channels in strips"),
        pytest.param({"predictor": 2}, id="differences"),
        pytest.param({"predictor": 2, "packing": "lzw", "order": ">"}, id="differences, big endian"),
        pytest.param({"tile": 512}, id="a tile that is larger than the image"),
    ],
)
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_every_layout_is_read_exactly(layout: dict[str, Any], dtype: str) -> None:
    pixels = gradient(dtype=dtype)
    assert (read(tiff_bytes(pixels, **layout)) == pixels[50:170, 30:250]).all()


def test_a_long_strip_without_compression_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from localrun.values.rasters import tiff

    monkeypatch.setattr(tiff, "_STRIP_BYTES", 300 * 3 * 7)
    pixels = gradient()
    found = opened(tiff_bytes(pixels, strips=True, tile=200, packing="none"))
    assert found.layers[0].tile == (300, 7)  # type: ignore[attr-defined]
    assert (found.read(PART, PART.size) == pixels[50:170, 30:250]).all()


@pytest.mark.parametrize("packing", ["jpeg", "jpeg2000"])
def test_tiles_that_are_pictures_are_read(packing: str) -> None:
    rows, columns = np.mgrid[:200, :300]
    pixels = np.stack([columns // 2, rows, (rows + columns) // 4], axis=2).astype("u1")
    for channels in (1, 3):
        found = read(
            tiff_bytes(
                pixels[..., :channels],
                packing=packing,
                photometric=6 if channels == 3 and packing == "jpeg" else None,
            )
        )
        assert np.abs(found.astype(int) - pixels[50:170, 30:250, :channels]).max() <= 12


def test_a_part_of_an_image_decodes_only_its_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[tuple[int, int]] = []
    found = opened(tiff_bytes(gradient(), tile=64))
    layer = found.layers[0]
    assert isinstance(layer, TiledLayer)
    original = layer.decode

    def decode(column: int, row: int) -> Any:
        decoded.append((column, row))
        return original(column, row)

    monkeypatch.setattr(layer, "decode", decode)
    found.read(Area(70, 10, 120, 60), (50, 50))
    assert decoded == [(1, 0)]


def test_a_lower_resolution_in_the_file_is_used() -> None:
    pixels = gradient()
    marked = pixels[::2, ::2].copy()
    marked[..., 0] = 7
    found = opened(tiff_bytes([pixels, marked]))
    assert [layer.size for layer in found.layers] == [(300, 200), (150, 100)]
    assert found.frames == 1
    assert (found.read(Area(0, 0, 300, 200), (150, 100))[..., 0] == 7).all()
    assert not (found.read(Area(0, 0, 300, 200), (151, 101))[..., 0] == 7).all()


def test_a_page_of_another_shape_is_no_lower_resolution() -> None:
    found = opened(tiff_bytes([gradient(), gradient(100, 90), gradient(30, 20, channels=1)]))
    assert [layer.size for layer in found.layers] == [(300, 200)]
    assert found.notes == ["2 images of another size in the file not shown"]


def test_pages_of_the_same_size_are_counted() -> None:
    found = opened(tiff_bytes([gradient(), gradient(), gradient()]))
    assert (found.frames, found.notes) == (3, [])


def test_more_channels_than_colors_show_the_first() -> None:
    pixels = gradient(channels=5, dtype="u2")
    found = opened(tiff_bytes(pixels, photometric=1))
    assert (found.color, found.channels, found.bits) == ("gray", 5, 16)
    assert found.notes == ["the first of 5 channels is shown"]
    assert (found.read(PART, PART.size)[..., 0] == pixels[50:170, 30:250, 0]).all()


@pytest.mark.parametrize("layout", [{}, {"planar": True}, {"packing": "jpeg2000", "photometric": 2}], ids=str)
@pytest.mark.parametrize("channel", [0, 2])
def test_one_channel_is_read_as_an_image_in_gray(layout: dict[str, Any], channel: int) -> None:
    pixels = gradient(channels=3 if "packing" in layout else 5)
    data = tiff_bytes([pixels, pixels[::2, ::2].copy()], **{"photometric": 1, **layout})
    found = opening.open_file(opener_of(data), Part(0, channel))
    assert (found.color, found.channels, found.notes) == ("gray", pixels.shape[2], [])
    assert [layer.size for layer in found.layers] == [(300, 200), (150, 100)]
    shown = found.read(PART, PART.size)
    assert shown.shape == (120, 220, 1)
    if not layout.get("packing"):
        assert (shown[..., 0] == pixels[50:170, 30:250, channel]).all()


def test_each_page_of_the_same_size_is_a_frame() -> None:
    pages = [gradient(), gradient(100, 90), 255 - gradient()]
    data = tiff_bytes(pages)
    found = opening.open_file(opener_of(data), Part(1))
    assert (found.frames, found.notes) == (2, [])
    assert (found.read(PART, PART.size) == pages[2][50:170, 30:250]).all()


def test_each_page_that_only_pillow_reads_is_a_frame() -> None:
    pages = [Image.fromarray(gradient(channels=1)[..., 0] > level) for level in (100, 200)]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    found = opening.open_file(opener_of(stream.getvalue()), Part(1))
    assert found.frames == 2
    assert (found.read(PART, PART.size)[..., 0] == np.asarray(pages[1].convert("L"))[50:170, 30:250]).all()


@pytest.mark.parametrize(
    ("part", "message"), [(Part(3), "no frame 3, only 1"), (Part(0, 3), "no channel 3, only 3")]
)
def test_a_frame_or_channel_that_does_not_exist_is_an_error(part: Part, message: str) -> None:
    with pytest.raises(NoSuchPart, match=message):
        opening.open_file(opener_of(tiff_bytes(gradient())), part)


def test_a_tile_that_was_never_written_is_black() -> None:
    data = tiff_bytes(gradient(), more={324: [0] * 20, 325: [0] * 20})
    assert not read(data).any()


def test_a_palette_is_applied() -> None:
    palette = [level * 257 for channel in range(3) for level in ([0, 9], [0, 8], [0, 7])[channel]]
    pixels = np.zeros((64, 64, 1), "u1")
    pixels[3, 5] = 1
    found = opened(tiff_bytes(pixels, photometric=3, more={320: palette}))
    shown = found.read(Area(0, 0, 64, 64), (64, 64))
    assert found.color == "rgb"
    assert shown[3, 5].tolist() == [9, 8, 7]
    assert shown[0, 0].tolist() == [0, 0, 0]


def test_samples_of_one_bit_are_decoded_by_pillow() -> None:
    stream = io.BytesIO()
    Image.fromarray(gradient(channels=1)[..., 0] > 100).save(stream, "TIFF")
    found = opened(stream.getvalue())
    assert (found.bits, found.color) == (1, "gray")
    assert set(np.unique(found.read(PART, PART.size))) == {0, 255}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(tiff_bytes(gradient())[:-2000], "corrupt tiff", id="cut off directory"),
        pytest.param(b"II*\0\x08\0\0\0\0\0", "invalid number of tags", id="no tags"),
        pytest.param(
            tiff_bytes(gradient(), more={256: [1 << 20], 257: [1 << 20], 322: [1 << 20], 323: [1 << 20]}),
            "decoding 1048576 x 1048576 pixels takes",
            id="a tile as large as a bomb",
        ),
        pytest.param(tiff_bytes(gradient(), more={256: [0]}), "invalid size", id="no width"),
    ],
)
def test_a_damaged_file_is_refused_before_it_is_decoded(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableImage, match=message):
        opened(data)


def test_a_tile_with_too_few_bytes_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="cannot decode the pixels"):
        read(tiff_bytes(gradient(), packing="none", more={325: [17] * 20}))


def test_a_tile_that_inflates_to_a_bomb_is_cut() -> None:
    import zlib

    pixels = gradient(64, 64)
    data = bytearray(tiff_bytes(pixels, tile=64))
    bomb = zlib.compress(bytes(50 * 1024**2))
    offset = len(data)
    data += bomb
    broken = tiff_bytes(pixels, tile=64, more={324: [offset], 325: [len(bomb)]})
    broken += bytes(offset - len(broken)) + bomb
    assert not opened(broken).read(Area(0, 0, 64, 64), (64, 64)).any()


def test_directories_in_a_circle_end() -> None:
    data = bytearray(tiff_bytes([gradient(), gradient()]))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    second = struct.unpack_from("<I", data, first + 2 + 12 * count)[0]
    tags = struct.unpack_from("<H", data, second)[0]
    struct.pack_into("<I", data, second + 2 + 12 * tags, first)
    assert opened(bytes(data)).frames == 2


def test_an_image_without_low_resolutions_that_is_too_large_is_viewed_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(raster, "MAX_READ", 10_000)
    found = opened(tiff_bytes(gradient()))
    with pytest.raises(UnreadableImage, match="300 x 200 pixels are too many") as error:
        found.read(Area(0, 0, 300, 200), (30, 20))
    assert "pyramid" in error.value.remedy
    assert found.read(Area(0, 0, 60, 60), (60, 60)).shape == (60, 60, 3)
