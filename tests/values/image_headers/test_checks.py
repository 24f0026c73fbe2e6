"""Images are identified by their content and measured by their headers, and never decoded."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun import values
from localrun.descriptor.divergences import divergence
from localrun.descriptor.types import Image, Notes
from localrun.errors import InputsError
from localrun.values.image_headers.bounded_reader import BoundedReader, CorruptFile, ImageHeader
from localrun.values.image_headers.checks import check_image
from localrun.values.image_headers.dicom import read_header as read_dicom
from localrun.values.image_headers.jpeg import read_header as read_jpeg
from localrun.values.image_headers.png import read_header as read_png
from localrun.values.image_headers.tiff import read_header as read_tiff
from tests.support.descriptors import make
from tests.support.image_files import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    dicom,
    element,
    jpeg,
    png,
    slide,
    tiff,
)
from tests.support.work import cpu_seconds


def look(data: bytes, kind: Image | None = None) -> Notes:
    notes = Notes("i")
    check_image(kind or Image(), io.BytesIO(data), len(data), notes)
    return notes


def told(data: bytes, kind: Image | None = None) -> list[str]:
    return [problem.message for problem in look(data, kind).problems]


def only(*formats: str, **limits: Any) -> Image:
    return Image(formats=formats, **limits)


EVERY = {
    "png": png(),
    "jpeg": jpeg(),
    "tiff": tiff(),
    "dicom": dicom(),
    "wsidicom": slide(),
}
TIFFS = {
    f"{'big' if big else 'classic'} {order} {'tiled' if tile else 'strips'}": tiff(
        700, 500, order=order, big=big, tile=tile
    )
    for big in (False, True)
    for order in "<>"
    for tile in (0, 256)
}


@pytest.mark.parametrize("name", EVERY)
def test_each_of_the_five_formats_is_taken_by_its_content(name: str) -> None:
    assert told(EVERY[name]) == []
    assert told(EVERY[name], only(name)) == []


@pytest.mark.parametrize("name", EVERY)
def test_a_format_that_is_not_allowed_is_refused(name: str) -> None:
    others = tuple(other for other in EVERY if other != name)

    (message,) = told(EVERY[name], Image(formats=others))

    assert message.endswith("got a zip" if name == "wsidicom" else f"got {name}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "an empty file"),
        (b"GIF89a" + bytes(20), "a GIF"),
        (b"BM" + bytes(60), "a BMP"),
        (b"RIFF\1\2\3\4WEBPVP8 ", "a WebP"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"PK\5\6" + bytes(18), "an empty zip"),
        (b"\x1f\x8b\x08\0", "a gzip file"),
        (b"<svg xmlns=''/>", """text that starts with "<svg xmlns=''/>\""""),
        (b"not an image", "text"),
        (b"\1\2\3\4\5", "unknown data (starts with 01 02 03 04)"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(data: bytes, message: str) -> None:
    assert told(data) == [f"expected one of dicom, jpeg, png, tiff, wsidicom, got {message}"]
    assert told(data, only("png")) == [f"expected png, got {message}"]


def test_a_file_that_is_of_two_formats_is_taken_for_the_one_that_is_allowed() -> None:
    # Given a DICOM file with a TIFF header in its preamble
    both = dicom(preamble=tiff()[:128].ljust(128, b"\0"))

    assert told(both, only("dicom")) == []
    assert told(both, only("tiff")) == []
    assert told(both, only("png")) == ["expected png, got tiff and dicom"]


# -- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [png(700, 500), jpeg(700, 500), dicom(700, 500), *TIFFS.values()],
    ids=["png", "jpeg", "dicom", *TIFFS],
)
def test_an_image_larger_than_allowed_is_refused_by_width_and_by_height(data: bytes) -> None:
    assert told(data, Image(max_width=700, max_height=500)) == []
    assert told(data, Image(max_width=699)) == ["is 700 pixels wide, expected at most 699"]
    assert told(data, Image(max_height=499)) == ["is 500 pixels high, expected at most 499"]
    assert len(told(data, Image(max_width=1, max_height=1, max_file_size=5))) == 3


@pytest.mark.parametrize("name", EVERY)
def test_a_file_of_more_bytes_than_allowed_is_refused(name: str) -> None:
    size = len(EVERY[name])

    assert told(EVERY[name], Image(max_file_size=size)) == []
    assert told(EVERY[name], Image(max_file_size=size - 1)) == [
        f"has {size} bytes, expected at most {size - 1}"
    ]


@pytest.mark.parametrize("frame", [0xC0, 0xC1, 0xC2, 0xC9, 0xCF])
def test_every_frame_of_jpeg_tells_its_size(frame: int) -> None:
    filler = b"\xff\xff\xff\xee\0\5abc" + b"\xff\xc4\0\4ab"
    data = jpeg(70, 50, before=filler, frame=frame)

    assert read_jpeg(BoundedReader(io.BytesIO(data), len(data))) == ImageHeader(70, 50, 1, 3500)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_dicom_is_measured_in_every_transfer_syntax(syntax: str) -> None:
    data = dicom(70, 50, syntax=syntax)

    assert read_dicom(BoundedReader(io.BytesIO(data), len(data))) == ImageHeader(70, 50)


def test_a_size_inside_a_sequence_of_dicom_is_not_the_images_size() -> None:
    # Given an icon in a sequence of open length, in front of the image's own size
    icon = element(0x0028_0010, b"US", b"\1\0") + element(0x0028_0011, b"US", b"\1\0")
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + icon + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + item
    data = dicom(70, 50, before=sequence + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))

    assert read_dicom(BoundedReader(io.BytesIO(data), len(data))) == ImageHeader(70, 50)


def test_the_size_of_a_slide_is_that_of_the_whole_not_of_its_tiles() -> None:
    data = slide({"thumb.dcm": dicom(10, 10), "base.dcm": dicom(330, 301, whole=(90_000, 70_000))})

    assert told(data, Image(max_width=90_000, max_height=70_000)) == []
    assert told(data, Image(max_width=512)) == ["is 90000 pixels wide, expected at most 512"]


def test_other_libraries_see_the_same_sizes(tmp_path: Path) -> None:
    from PIL import Image as Pillow
    from pydicom import dcmread

    for form, reader in (("PNG", read_png), ("JPEG", read_jpeg), ("TIFF", read_tiff)):
        path = tmp_path / form
        Pillow.new("RGB", (37, 21)).save(path, form)
        found = reader(BoundedReader(io.BytesIO(path.read_bytes()), path.stat().st_size))
        assert (found.width, found.height, found.samples) == (37, 21, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for syntax in (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED):
            read = dcmread(io.BytesIO(dicom(37, 21, syntax=syntax)))
            assert (read.Columns, read.Rows) == (37, 21)
    Pillow.new("L", (37, 21)).save(tmp_path / "big", "TIFF", big_tiff=True)
    big = read_tiff(
        BoundedReader(io.BytesIO((tmp_path / "big").read_bytes()), (tmp_path / "big").stat().st_size)
    )
    assert (big.width, big.height, big.samples, big.is_bigtiff) == (37, 21, 1, True)


# -- what is not read -----------------------------------------------------------------------------


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_of_two_gibibytes_is_checked_in_an_instant(tmp_path: Path, big: bool) -> None:
    # Given a sparse file whose directory stands at its very end
    far = 2 * 1024**3
    path = tmp_path / "large"
    short = tiff(30_000, 20_000, big=big, far=0)
    head = 16 if big else 8
    begin = short[:8] + struct.pack("<Q", head + far) if big else short[:4] + struct.pack("<I", head + far)
    with path.open("wb") as stream:
        stream.write(begin)
        stream.seek(head + far)
        stream.write(short[head:])

    # When its width is checked
    def check() -> Notes:
        notes = Notes("i")
        with path.open("rb") as file:
            check_image(Image(max_width=100), file, path.stat().st_size, notes)
        return notes

    # Then it did not read up to there
    assert cpu_seconds(check) < 0.5
    notes = check()
    assert notes.problems[0].message == "is 30000 pixels wide, expected at most 100"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            png(2**31 - 1, 2**31 - 1, data=b""),
            "invalid size: 2147483647 x 2147483647 pixels cannot fit in 57 bytes",
        ),
        (png(100_000, 100_000, data=bytes(10_000_000)), "takes 9.3 GiB of memory"),
        (jpeg(65535, 65535)[:1000], "invalid size: 65535 x 65535 pixels"),
        (tiff(2**20, 2**20, packing=5), "takes 3 TiB of memory"),
        (tiff(2**20, 2**20, packing=5, tile=2**18), "takes 192 GiB of memory"),
    ],
)
def test_a_bomb_is_refused_without_being_decoded(data: bytes, message: str) -> None:
    assert message in told(data)[0]


@pytest.mark.parametrize("data", [tiff(2**20, 2**20, packing=7, tile=256), tiff(60_000, 60_000)])
def test_a_large_image_that_can_be_read_in_parts_is_taken(data: bytes) -> None:
    assert told(data) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png()[:20], "png: the file ends after 20 bytes"),
        (png()[:8] + bytes(30), "png: the first chunk is not IHDR"),
        (png(0, 5), "png: invalid size: 0 x 5 pixels"),
        (png()[:24] + b"\x07\x07" + png()[26:], "png: invalid color type"),
        (jpeg()[:20], "jpeg: the file ends after 20 bytes"),
        (jpeg()[:20] + b"xx" + bytes(50), "jpeg: no marker at byte 20"),
        (jpeg()[:20] + b"\xff\xda" + bytes(50), "jpeg: the pixels start"),
        (jpeg()[:20] + b"\xff\xe1\0\1" + bytes(50), "jpeg: segment 0xe1 has an invalid length"),
        (jpeg(0, 5), "jpeg: invalid size: 0 x 5 pixels"),
        (tiff()[:6], "tiff: the file ends after 6 bytes"),
        (b"II*\0\xff\xff\xff\xff", "tiff: the file ends after 8 bytes"),
        (b"II*\0\x08\0\0\0\0\0", "tiff: invalid number of tags in the first directory: 0"),
        (b"II+\0\x04\0\0\0" + bytes(40), "tiff: the offsets do not have 8 bytes"),
        (b"II+\0\x08\0\0\0\x10" + bytes(7) + b"\xff" * 8, "tiff: invalid number of tags"),
        (tiff(0, 5), "tiff: invalid size: 0 x 5 pixels"),
    ],
)
def test_an_image_with_a_damaged_header_is_told_with_the_reason(data: bytes, message: str) -> None:
    assert f"corrupt {message}" in told(data)[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (dicom()[:132], "missing transfer syntax"),
        (dicom()[:180], "the file ends after 180 bytes"),
        (dicom()[: dicom().index(b"\x28\0\x10\0")], "has no rows and columns"),
        (dicom(before=b"\x08\0\x05\0!!ab"), "no data element at byte"),
        (
            dicom(before=struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 2**32 - 1) * 65),
            "invalid nesting of sequences",
        ),
    ],
)
def test_dicom_is_looked_into_only_where_a_size_is_limited(data: bytes, message: str) -> None:
    assert told(data) == []
    assert message in told(data, Image(max_width=9))[0]


def test_a_header_without_end_is_given_up() -> None:
    data = jpeg()[:20] + b"\xff\xe1\0\2" * 30_000

    assert "longer than any valid one" in told(data)[0]


# -- slides ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "expected one of dicom, jpeg, png, tiff, wsidicom, got an empty zip"),
        ({"a.dcm": dicom(), "notes.txt": b"x"}, "not a DICOM file: 'notes.txt'"),
        ({"../a.dcm": dicom()}, "unsafe member '../a.dcm': path may leave the folder"),
        ({"/etc/a": dicom()}, "unsafe member '/etc/a': path may leave the folder"),
        ({"c:/a": dicom()}, "unsafe member 'c:/a': path may leave the folder"),
        ({"a\\b": dicom()}, "unsafe member 'a\\\\b': path may leave the folder"),
        ({"a//b": dicom()}, "unsafe member 'a//b': invalid file name"),
        ({"a": dicom(), "a/b": dicom()}, "unsafe member 'a/b': duplicate name"),
        ({"a/b": dicom(), "a": dicom()}, "unsafe member 'a': duplicate name"),
        ({"x" * 300: dicom()}, f"unsafe member '{'x' * 200}': invalid file name"),
    ],
)
def test_what_is_wrong_with_a_zip_is_told_before_it_is_unpacked(
    members: dict[str, bytes], message: str
) -> None:
    assert told(slide(members)) == [message]


def zip_of(**changes: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("a.dcm")
        info.compress_type = zipfile.ZIP_DEFLATED
        for name, value in changes.items():
            setattr(info, name, value)
        archive.writestr(info, dicom() + bytes(1000))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zip_of(external_attr=0o120777 << 16), "unsafe member 'a.dcm': not a regular file"),
        (zip_of(compress_type=zipfile.ZIP_BZIP2), "unsafe member 'a.dcm': unsupported compression method 12"),
        (slide()[:-30], "corrupt zip: missing list of members at the end"),
        (slide()[:200] + bytes(100) + slide()[300:], "corrupt zip: "),
    ],
)
def test_an_unsafe_or_damaged_zip_is_refused(data: bytes, message: str) -> None:
    assert message in told(data)[0]


def test_an_encrypted_zip_is_refused() -> None:
    data = bytearray(slide({"a.dcm": dicom()}))
    data[data.rindex(b"PK\1\2") + 8] |= 1

    assert told(bytes(data)) == ["unsafe member 'a.dcm': encrypted"]


def test_a_member_that_lies_outside_of_its_zip_is_refused() -> None:
    data = bytearray(slide({"a.dcm": dicom()}))
    at = data.rindex(b"PK\1\2")
    data[at + 42 : at + 46] = b"\xff\xff\xff\x7f"
    assert told(bytes(data)) == ["unsafe member 'a.dcm': outside of the zip"]

    # and before its beginning, when the zip claims to be longer than it is
    data = bytearray(slide({"a.dcm": dicom()}))
    end = data.rindex(b"PK\5\6")
    data[end + 12 : end + 16] = struct.pack("<I", struct.unpack_from("<I", data, end + 12)[0] + 1)
    assert told(bytes(data))[0].startswith("corrupt zip")


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.dcm", "w") as member:
        member.write(dicom())
        for _ in range(320):
            member.write(bytes(1024**2))

    assert "possible zip bomb" in told(out.getvalue())[0]


def test_a_zip_that_lists_its_folders_is_taken_with_a_warning() -> None:
    notes = look(slide({"level/": b"", "level/a.dcm": dicom()}))

    assert notes.problems == []
    assert notes.warnings == [divergence("image_zip_folder").format_warning("i")]


def test_a_zipped_slide_reaches_the_task_unpacked(tmp_path: Path) -> None:
    (tmp_path / "wsi.zip").write_bytes(slide({"a.dcm": dicom(3), "level/b.dcm": dicom(4)}))

    found = values.provision(make({"i": "image"}), {"i": tmp_path / "wsi.zip"}, tmp_path / "in")

    made = {str(path.relative_to(tmp_path / "in")): path for path in (tmp_path / "in").rglob("*.dcm")}
    assert {name: path.read_bytes() for name, path in made.items()} == {
        "i/a.dcm": dicom(3),
        "i/level/b.dcm": dicom(4),
    }
    assert {path.stat().st_mode & 0o777 for path in made.values()} == {0o644}
    assert found.values == {"i": str(tmp_path / "wsi.zip")}
    assert found.mounts == ()


def test_a_zip_that_cannot_be_unpacked_leaves_nothing_behind(tmp_path: Path) -> None:
    # Given a zip whose second member has another content than its checksum says
    data = bytearray(slide({"a.dcm": dicom(3), "b.dcm": dicom(4)}))
    data[data.rindex(b"PK\1\2") + 16] ^= 0xFF
    (tmp_path / "wsi.zip").write_bytes(data)

    # When it is provisioned, next to another input
    with pytest.raises(InputsError, match="corrupt zip"):
        values.provision(
            make({"a": "integer", "i": "image"}), {"a": 1, "i": tmp_path / "wsi.zip"}, tmp_path / "in"
        )

    # Then nothing stays
    assert not (tmp_path / "in").exists()


def test_a_folder_of_dicom_files_is_measured_by_its_largest(tmp_path: Path) -> None:
    (tmp_path / "wsi").mkdir()
    (tmp_path / "wsi/a").write_bytes(dicom(5000, 4000))
    (tmp_path / "wsi/b").write_bytes(dicom(7, 7) + bytes(5000))
    descriptor = make({"i": {"id": "image", "max_width": 6}})

    with pytest.raises(InputsError, match="is 7 pixels wide, expected at most 6"):
        values.provision(descriptor, {"i": tmp_path / "wsi"}, tmp_path / "in")


@pytest.mark.parametrize("members", [{}, {"notes.txt": b"x"}])
def test_a_folder_with_anything_but_dicom_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    (tmp_path / "wsi").mkdir()
    for name, data in members.items():
        (tmp_path / "wsi" / name).write_bytes(data)

    with pytest.raises(InputsError, match="DICOM file"):
        values.provision(make({"i": "image"}), {"i": tmp_path / "wsi"}, tmp_path / "in")


def test_a_folder_is_refused_where_only_png_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "wsi").mkdir()
    (tmp_path / "wsi/a").write_bytes(dicom())

    with pytest.raises(InputsError, match="expected png, got a folder"):
        values.provision(
            make({"i": {"id": "image", "formats": ["png"]}}), {"i": tmp_path / "wsi"}, tmp_path / "in"
        )


# -- outputs --------------------------------------------------------------------------------------


def test_images_that_a_task_wrote_are_checked_each(tmp_path: Path) -> None:
    # Given an array of three pictures, one of which is none and one too wide
    folder = tmp_path / "tiles"
    folder.mkdir()
    (folder / "array.yml").write_text("size: 3")
    for index, data in enumerate((png(), b"oops", png(50, 2))):
        (folder / str(index)).write_bytes(data)
    kind = {"id": "array", "subtype": {"id": "image", "formats": ["png"], "max_width": 10}}

    found = values.collect(make(None, {"tiles": kind}), tmp_path)

    assert [str(problem).partition(";")[0] for problem in found.problems] == [
        "outputs.tiles.1: expected png, got text",
        "outputs.tiles.2: is 50 pixels wide, expected at most 10",
    ]


def test_a_slide_that_a_task_wrote_is_its_folder(tmp_path: Path) -> None:
    (tmp_path / "out/wsi").mkdir(parents=True)
    (tmp_path / "out/wsi/a").write_bytes(dicom())

    found = values.collect(make(None, {"wsi": "image"}), tmp_path / "out")

    assert found == values.CollectedOutputs({"wsi": str(tmp_path / "out/wsi")})


def test_the_reader_of_images_is_not_imported_for_other_types(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "o").write_text("5")
    script = (
        "import sys; from pathlib import Path; from localrun import values;"
        " from tests.support.descriptors import make;"
        f" values.collect(make(None, {{'o': 'integer'}}), Path({str(tmp_path)!r}));"
        " assert not [name for name in sys.modules if 'image_headers' in name]"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3], env=dict(os.environ)
    )


# -- anything at all ------------------------------------------------------------------------------

SEEDS = [*EVERY.values(), *TIFFS.values(), dicom(syntax=IMPLICIT), dicom(syntax=DEFLATED), jpeg(frame=0xC2)]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@given(mutated() | st.binary(max_size=300))
def test_any_bytes_are_taken_or_refused_and_never_crash(data: bytes) -> None:
    for kind in (Image(), Image(max_width=5, max_height=5), only("tiff", "dicom")):
        notes = look(data, kind)
        assert all(problem.message and problem.remedy for problem in notes.problems)


@given(st.sampled_from([read_png, read_jpeg, read_tiff, read_dicom]), mutated())
def test_a_header_is_read_or_damaged(reader: Any, data: bytes) -> None:
    try:
        found = reader(BoundedReader(io.BytesIO(data), len(data)))
    except CorruptFile:
        return
    assert found.width > 0
    assert found.height > 0


@given(st.integers(1, 10**4), st.integers(1, 10**4), st.sampled_from(["png", "jpeg", "dicom", "tiff"]))
def test_the_size_that_was_written_is_the_size_that_is_read(width: int, height: int, name: str) -> None:
    makers: dict[str, Callable[[int, int], bytes]] = {"png": png, "jpeg": jpeg, "dicom": dicom, "tiff": tiff}
    data = makers[name](width, height)

    assert told(data, Image(max_width=width, max_height=height)) == []
    assert "wide" in told(data, Image(max_width=width - 1))[0]
