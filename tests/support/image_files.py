"""Small generated image files of every format."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 3, height: int = 2, *, data: bytes | None = None) -> bytes:
    """Return a grayscale PNG; `data` replaces its compressed pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(height * (width + 1))) if data is None else data
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg(width: int = 3, height: int = 2, *, before: bytes = b"", frame: int = 0xC0) -> bytes:
    """Return a JPEG file up to its pixels; `before` are segments before the frame header."""
    head = b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0"
    body = struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"
    sof = bytes([0xFF, frame]) + struct.pack(">H", 2 + len(body)) + body
    return (
        head
        + before
        + sof
        + b"\xff\xda\0\x08\1\1\0\0\x3f\0"
        + bytes(width * height // 4096 + 16)
        + b"\xff\xd9"
    )


def tiff(
    width: int = 3,
    height: int = 2,
    *,
    order: str = "<",
    big: bool = False,
    samples: int = 3,
    tile: int = 0,
    packing: int = 1,
    far: int = 0,
) -> bytes:
    """Return a TIFF or BigTIFF header with one directory, `far` bytes after its usual position."""
    tags = {256: width, 257: height, 258: 8, 259: packing, 262: 2, 277: samples}
    tags |= {322: tile, 323: tile} if tile else {278: height}
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(order + "HHHQ", 43, 8, 0, 16 + far)
        body = struct.pack(order + "Q", len(tags))
        body += b"".join(struct.pack(order + "HHQQ", tag, 16, 1, value) for tag, value in tags.items())
        return head + bytes(far) + body + bytes(8)
    head = mark + struct.pack(order + "HI", 42, 8 + far)
    body = struct.pack(order + "H", len(tags))
    body += b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items())
    return head + bytes(far) + body + bytes(4)


def element(tag: int, kind: bytes, value: bytes, syntax: str = EXPLICIT) -> bytes:
    """Return a DICOM data element."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT:
        return head + struct.pack("<I", len(value)) + value
    if kind in (b"SQ", b"OB", b"OW", b"UN"):
        return head + kind + b"\0\0" + struct.pack(order + "I", len(value)) + value
    return head + kind + struct.pack(order + "H", len(value)) + value


def dicom(
    width: int = 3,
    height: int = 2,
    *,
    syntax: str = EXPLICIT,
    whole: tuple[int, int] | None = None,
    before: bytes = b"",
    preamble: bytes = bytes(128),
) -> bytes:
    """Return a DICOM file up to its pixels; `whole` is the slide size, `before` are leading elements."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    name = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = element(0x0002_0010, b"UI", name)
    body = before + element(0x0028_0002, b"US", struct.pack(order + "H", 1), syntax)
    body += element(0x0028_0010, b"US", struct.pack(order + "H", height), syntax)
    body += element(0x0028_0011, b"US", struct.pack(order + "H", width), syntax)
    if whole:
        body += element(0x0048_0006, b"UL", struct.pack(order + "I", whole[0]), syntax)
        body += element(0x0048_0007, b"UL", struct.pack(order + "I", whole[1]), syntax)
    body += element(0x7FE0_0010, b"OW", bytes(width * height % 1000), syntax)
    if syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
    group = element(0x0002_0000, b"UL", struct.pack("<I", len(meta)))
    return preamble + b"DICM" + group + meta + body


def slide(members: dict[str, bytes] | None = None) -> bytes:
    """Return a zip of DICOM files; a name that ends in / is a folder."""
    found = {"a.dcm": dicom(), "b.dcm": dicom(9, 8)} if members is None else members
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in found.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()
