"""Read the members of an untrusted tar.

Only headers are read; contents are read on request and skipped otherwise. Sizes, names and counts are
limited.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from localrun.bundle import cancellation
from localrun.bundle.images.compressed import CorruptArchive, Reader

BLOCK = 512
EXTENDED_HEADER_LIMIT = 1 << 20  # bytes of one long-name or pax header
NAME_LIMIT = 4096  # bytes of a name or link target, as in Linux (PATH_MAX)
_SIZE_DIGITS = 19  # of the largest 64-bit number

MemberKind = Literal["file", "link", "symlink", "folder", "other"]

_KINDS: dict[bytes, MemberKind] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"1": "link",
    b"2": "symlink",
    b"5": "folder",
}
_WITHOUT_DATA = frozenset(b"123456")
_EXTENDED_HEADERS = frozenset(b"xgLK")
_PAX_KEYS = (b"path", b"linkpath", b"size")


@dataclass(frozen=True, slots=True)
class Member:
    """One member: normalized name (`./a//b` is `a/b`), size in bytes, link target and permission bits."""

    name: str
    kind: MemberKind
    size: int
    target: str = ""
    mode: int = 0


class TarReader:
    """A tar that is read forward once. `has_end_mark` is set when its end mark is found."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.has_end_mark = False

    def __iter__(self) -> Iterator[Member]:
        """Yield each member. Its content can be read from `reader` until the next member is requested.

        Raises `CorruptArchive`.
        """
        pending: dict[str, str] = {}
        while block := self._read_header():
            cancellation.check()
            member, data = _parse(block, self.reader.position)
            if block[156] in _EXTENDED_HEADERS:
                self._read_extended_header(chr(block[156]), data, pending)
                continue
            if pending:
                member, data = _apply_extended_headers(member, data, pending)
                pending = {}
            end = self.reader.position + _padded(data)
            yield replace(member, name=posixpath.normpath(member.name) if member.name else "")
            self.reader.skip(end - self.reader.position)

    def _read_header(self) -> bytes:
        block = self.reader.read(BLOCK)
        if not block:
            return b""
        if len(block) < BLOCK:
            is_first = self.reader.position < BLOCK
            raise CorruptArchive("it is not a tar" if is_first else "it is truncated inside a header")
        if block.count(0) == BLOCK:
            self.has_end_mark = True
            return b""
        return block

    def _read_extended_header(self, kind: str, size: int, pending: dict[str, str]) -> None:
        if size > EXTENDED_HEADER_LIMIT:
            raise CorruptArchive(f"it has an extended header of {size} bytes")
        data = self.reader.read(size)
        self.reader.skip(_padded(size) - len(data))
        if kind == "L":
            pending["path"] = _text(data)
        elif kind == "K":
            pending["linkpath"] = _text(data)
        elif kind == "x":
            pending.update(_parse_pax(data))


def _parse(block: bytes, position: int) -> tuple[Member, int]:
    if sum(block[:148]) + sum(block[156:]) + 256 != _number(block[148:156]):
        if position == BLOCK:
            raise CorruptArchive("it is not a tar")
        raise CorruptArchive(f"it is damaged at byte {position - BLOCK}: no tar header there")
    name, prefix = _text(block[:100]), _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    flag = block[156:157]
    size = 0 if flag[0] in _WITHOUT_DATA else _number(block[124:136])
    if size < 0:
        raise CorruptArchive(f"it is damaged at byte {position - BLOCK}: a member without a size")
    kind = "folder" if flag in b"\0" and name.endswith("/") else _KINDS.get(flag, "other")
    mode = max(0, _number(block[100:108])) & 0o7777
    return Member(f"{prefix}/{name}" if prefix else name, kind, size, _text(block[157:257]), mode), size


def _apply_extended_headers(member: Member, data: int, headers: dict[str, str]) -> tuple[Member, int]:
    if member.kind == "file" and "size" in headers:
        data = _pax_size(headers["size"])
    kind = "other" if "GNU.sparse" in headers else member.kind
    name, target = headers.get("path", member.name), headers.get("linkpath", member.target)
    if max(len(name), len(target)) > NAME_LIMIT:
        raise CorruptArchive(f"it has a member with a name of more than {NAME_LIMIT} bytes")
    return Member(name, kind, data, target, member.mode), data


def _pax_size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _SIZE_DIGITS:
        raise CorruptArchive(f"it has a pax header with an invalid size: {text!r:.40}")
    return int(text)


def _parse_pax(data: bytes) -> dict[str, str]:
    """Return the records of a pax header that matter here; any `GNU.sparse.*` as `GNU.sparse`."""
    found: dict[str, str] = {}
    start, end = 0, len(data.rstrip(b"\0"))
    while start < end:
        length, space, _ = data[start : start + 8].partition(b" ")
        stop = start + int(length) if space and length.isdigit() else start
        if not start + len(length) < stop <= len(data):
            raise CorruptArchive("it has a malformed pax header")
        key, _, value = data[start + len(length) + 1 : stop].rstrip(b"\n").partition(b"=")
        if key.startswith(b"GNU.sparse"):
            found["GNU.sparse"] = ""
        elif key in _PAX_KEYS:
            found[key.decode()] = value.decode("utf-8", "backslashreplace")
        start = stop
    return found


def _number(field: bytes) -> int:
    """Parse a number of a header; return -1 if it is invalid."""
    if field[0] & 0x80:  # base 256, for sizes too large for octal digits
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip() or b"0"
    return -1 if digits.strip(b"01234567") else int(digits, 8)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
