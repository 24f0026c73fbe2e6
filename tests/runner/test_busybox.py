from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

import pytest

from localrun.errors import UsageError
from localrun.runner.busybox import find_busybox, is_static
from tests.support.images import BUSYBOX


def program(*kinds: int, wide: bool = True, order: str = "<", machine: int = 62) -> bytes:
    """Return the headers of a program whose program headers have these types."""
    start, size = (64, 56) if wide else (52, 32)
    head = bytearray(start)
    head[:6] = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2])
    struct.pack_into(f"{order}H", head, 18, machine)
    struct.pack_into(f"{order}{'Q' if wide else 'I'}", head, 32 if wide else 28, start)
    struct.pack_into(f"{order}HH", head, 54 if wide else 42, size, len(kinds))
    return bytes(head) + b"".join(struct.pack(f"{order}I", kind).ljust(size, b"\0") for kind in kinds)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_program_with_a_dynamic_linker_is_not_static(wide: bool, order: str) -> None:
    assert is_static(program(1, 4, wide=wide, order=order))
    assert not is_static(program(6, 3, 1, wide=wide, order=order))


def test_what_is_not_a_whole_program_is_not_static() -> None:
    assert not is_static(b"#!/bin/sh\n")
    assert not is_static(program(1, 1)[:70])
    assert is_static(BUSYBOX.read_bytes())
    assert not is_static(Path(sys.executable).resolve().read_bytes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "this machine has no busybox"),
        (program(3), "is not a static program"),
        (program(1, machine=183), "is for arm64, not amd64"),
        (program(1), ""),
    ],
)
def test_the_busybox_of_this_machine_must_be_static_and_of_the_same_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    path = tmp_path / "busybox"
    path.write_bytes(content or b"")
    monkeypatch.setattr(shutil, "which", lambda _: None if content is None else str(path))
    if not message:
        assert find_busybox("amd64") == path
        return
    with pytest.raises(UsageError, match=message) as caught:
        find_busybox("amd64")
    assert caught.value.remedy
