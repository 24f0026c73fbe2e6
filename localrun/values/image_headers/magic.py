"""Detect the format of a file from its first bytes, never from its name."""

from __future__ import annotations

from localrun.values.image_headers import dicom, jpeg, png, tiff

HEAD_SIZE = 512  # bytes that are enough to detect a format
ZIP = b"PK\x03\x04"
_OTHERS = (
    (b"", b"GIF8", "a GIF"),
    (b"", b"BM", "a BMP"),
    (b"", b"\0\0\0\x0cjP  ", "a JPEG 2000 file"),
    (b"", b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (b"", b"%PDF", "a PDF"),
    (b"", b"\x1f\x8b", "a gzip file"),
    (b"", b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"", b"PK\x05\x06", "an empty zip"),
    (b"", b"\x93NUMPY", "a NumPy array"),
    (b"RIFF", b"WEBP", "a WebP"),
)


def detect_formats(head: bytes) -> tuple[str, ...]:
    """Return the formats whose signature matches: two for DICOM behind a TIFF header."""
    found = (
        ("png", head.startswith(png.SIGNATURE)),
        ("jpeg", head.startswith(jpeg.SIGNATURE)),
        ("tiff", head.startswith((*tiff.CLASSIC, *tiff.BIG))),
        ("dicom", head[dicom.MAGIC_AT : dicom.MAGIC_AT + 4] == dicom.MAGIC),
    )
    return tuple(name for name, matches in found if matches)


def describe_content(head: bytes) -> str:
    """Return what a file with none of these formats contains, for a message."""
    if not head:
        return "an empty file"
    for container, magic, name in _OTHERS:
        if head.startswith(container) and head[8 if container else 0 :].startswith(magic):
            return name
    if head.lstrip()[:1] in (b"<", b"{") and b"\0" not in head:
        return "text that starts with " + repr(head.lstrip()[:20].decode(errors="replace"))
    return "text" if _is_text(head) else f"unknown data (starts with {head[:4].hex(' ')})"


def _is_text(head: bytes) -> bool:
    return not any(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
