"""Keccak-256, the hash function of Ethereum and iExec.

Python's library has only SHA-3, which differs in padding, and packages with Keccak are several megabytes. The
hashed data is short: one digest per file, or the data of a callback.
"""

from __future__ import annotations

_LANES = 25  # words of 64 bits, at x + 5 * y
_RATE = 136  # bytes absorbed between two permutations
_WORD = (1 << 64) - 1
_PADDING = 0x01


def _round_constants() -> list[int]:
    """Return the round constants from a linear feedback shift register (FIPS 202, 3.2.5)."""
    found, state = [], 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            if state & 1:
                constant |= 1 << ((1 << power) - 1)
            state <<= 1
            if state >> 8:
                state ^= 0x171
        found.append(constant)
    return found


def _rotations() -> list[tuple[int, int, int]]:
    """Return source, target and rotation in bits of each lane (FIPS 202, 3.2.2 and 3.2.3)."""
    found = [(0, 0, 0)]
    x, y = 1, 0
    for step in range(24):
        turn = (step + 1) * (step + 2) // 2 % 64
        found.append((x + 5 * y, y + 5 * ((2 * x + 3 * y) % 5), turn))
        x, y = y, (2 * x + 3 * y) % 5
    return found


_ROUND_CONSTANTS, _ROTATIONS = _round_constants(), _rotations()


def keccak_256(data: bytes) -> bytes:
    """Return the Keccak-256 digest of `data`, 32 bytes."""
    return _sponge(data, _PADDING)


def _sponge(data: bytes, padding: int) -> bytes:
    padded = bytearray(data)
    padded.append(padding)
    padded.extend(bytes(-len(padded) % _RATE))
    padded[-1] |= 0x80
    lanes = [0] * _LANES
    for start in range(0, len(padded), _RATE):
        for lane in range(_RATE // 8):
            place = start + 8 * lane
            lanes[lane] ^= int.from_bytes(padded[place : place + 8], "little")
        lanes = _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permute(lanes: list[int]) -> list[int]:
    for constant in _ROUND_CONSTANTS:
        sums = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        mixed = [sums[x - 1] ^ _rotate(sums[(x + 1) % 5], 1) for x in range(5)]
        moved = [0] * _LANES
        for source, target, turn in _ROTATIONS:
            moved[target] = _rotate(lanes[source] ^ mixed[source % 5], turn)
        lanes = [
            moved[row + x] ^ (~moved[row + (x + 1) % 5] & moved[row + (x + 2) % 5] & _WORD)
            for row in range(0, _LANES, 5)
            for x in range(5)
        ]
        lanes[0] ^= constant
    return lanes


def _rotate(lane: int, bits: int) -> int:
    return (lane << bits | lane >> 64 - bits) & _WORD
