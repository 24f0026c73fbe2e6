"""This machine's static busybox, as the shell of images without one."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

from localrun.bundle.validation.program import machine_of
from localrun.errors import UsageError

PLACE = "/.localrun/busybox"  # in the container
_REMEDY = "install Debian's: `sudo apt-get install busybox-static`"
_INTERPRETER = 3  # the type of a program header that names the dynamic linker (ELF: PT_INTERP)
_HEADERS = 64 * 1024  # bytes at the start of a program that contain its headers


def find_busybox(architecture: str) -> Path:
    """Return the busybox of this machine, for a container of this architecture.

    Raises `UsageError` if there is none, or if it needs libraries, which the image may lack.
    """
    found = shutil.which("busybox")
    if found is None:
        raise UsageError("the image has no shell, and this machine has no busybox", remedy=_REMEDY)
    path = Path(found).resolve()
    with path.open("rb") as stream:
        head = stream.read(_HEADERS)
    if not is_static(head):
        raise UsageError(f"the image has no shell, and {path} is not a static program", remedy=_REMEDY)
    if (own := machine_of(head)) != architecture:
        message = f"the image has no shell, and {path} is for {own or 'another machine'}, not {architecture}"
        raise UsageError(message, remedy="add a shell to the image")
    return path


def is_static(program: bytes) -> bool:
    """Return whether a program, given by its first bytes, is one that needs no dynamic linker."""
    if not program.startswith(b"\x7fELF"):
        return False
    wide, order = program[4:5] == b"\x02", ">" if program[5:6] == b"\x02" else "<"
    try:
        (start,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", program, 32 if wide else 28)
        size, count = struct.unpack_from(f"{order}HH", program, 54 if wide else 42)
        kinds = [struct.unpack_from(f"{order}I", program, start + size * at)[0] for at in range(count)]
    except struct.error:
        return False
    return _INTERPRETER not in kinds
