"""Changes of valid files that parsers are known to handle badly."""

from __future__ import annotations

import random
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]

_TOKENS = [
    *(b"9" * 400, b"9" * 5000, b"-" + b"9" * 5000, b"1e999999999", b"NaN", b"\xff\xfe", b"\0" * 600, b"\r\n"),
    *(b"[" * 2000, b'{"a":' * 2000, b"- " * 2000, b"*a *a *a", b"&a [*a, *a]", b"!!python/name:os.system x"),
    *(b"<<: *a\n", b"../" * 500, b"**/" * 200, b"*a" * 200, b"[a-" * 200, b"${a:-" * 200, b" \\\n" * 500),
    *(
        b"/" * 5000,
        b"\xc3\x28",
        b"\x1b[31m",
        b'"',
        b"'",
        b"\\",
        b"{}",
        b"[]",
        b"null",
        b"true",
        b"0x",
        b"0b0_1",
    ),
]


def mutate(data: bytes, source: random.Random) -> bytes:
    """Return `data` after one to four random changes."""
    for _ in range(source.choice((1, 1, 2, 4))):
        data = source.choice(_MUTATIONS)(data, source)
    return data


def _flip(data: bytes, source: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(min(len(data), source.choice((1, 1, 4, 32)))):
        changed[source.randrange(len(data))] = source.choice((0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)))
    return bytes(changed)


def _cut(data: bytes, source: random.Random) -> bytes:
    return data[: source.randrange(len(data) + 1)]


def _remove(data: bytes, source: random.Random) -> bytes:
    start = source.randrange(len(data) + 1)
    return data[:start] + data[start + source.choice((1, 8, 512)) :]


def _repeat(data: bytes, source: random.Random) -> bytes:
    start = source.randrange(len(data) + 1)
    part = data[start : start + source.choice((1, 8, 64, 512))]
    times = min(source.choice((2, 30, 3000)), (256 << 10) // max(1, len(part)))
    return data[:start] + part * times + data[start:]


def _insert(data: bytes, source: random.Random) -> bytes:
    start = source.randrange(len(data) + 1)
    return data[:start] + source.choice(_TOKENS) + data[start:]


def _replace_number(data: bytes, source: random.Random) -> bytes:
    """Replace a digit: a length, an offset or a count of the format."""
    places = [at for at, byte in enumerate(data[:65536]) if 48 <= byte <= 57]
    if not places:
        return _insert(data, source)
    at = source.choice(places)
    return data[:at] + source.choice((b"7", b"0", b"-1", b"9" * 19, b"9" * 5000, b"1e400")) + data[at + 1 :]


_MUTATIONS: tuple[Mutation, ...] = (_flip, _cut, _remove, _repeat, _insert, _insert, _replace_number)
