from __future__ import annotations

import pytest

from localrun.platforms.iexec.digest import keccak_256


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ],
)
def test_the_known_digests_are_found(data: bytes, digest: str) -> None:
    assert keccak_256(data).hex() == digest


def test_an_address_and_a_hash_have_the_digest_that_iexec_gives_them() -> None:
    address = "748e091bf16048cb5103E0E10F9D5a8b7fBDd860"
    number = "d94b63fc2d3ec4b96daf84b403bbafdc8c8517e8e2addd51fec0fa4e67801be8"
    want = "9ca8cbf81a285c62778678c874dae13fdc6857566b67a9a825434dd557e18a8d"
    assert keccak_256(bytes.fromhex(address + number)).hex() == want
