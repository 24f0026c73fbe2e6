"""Outputs that the task's user owns become the invoking user's, by way of the engine.

A task that runs as root leaves files that an ordinary member of the docker group can neither read nor
delete. No helper image is needed to change that: an archive unpacked into the (stopped) container's output
folder sets owners. A folder entry of a tar sets those of a folder that is there, and a hard link entry those
of the file that it links to; no content travels.
"""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from localrun.engines.base import Engine, Handle

_MAX_DEPTH = 64


def chown_outputs(engine: Engine, handle: Handle, folder: Path, target: str) -> str:
    """Make everything in `folder`, which the container has at `target`, ours; how that was done."""
    if os.geteuid() == 0:
        return "read as root"
    links = f".localrun-{uuid.uuid4().hex}"
    taken = 0
    for _ in range(_MAX_DEPTH):  # a folder that could not be entered shows its content in the next round
        foreign = list(_foreign(folder))
        if not foreign:
            break
        engine.copy_in(handle, target, [_archive(engine, folder, foreign, links)])
        _remove_links(folder / links)
        taken += len(foreign)
        if foreign == list(_foreign(folder)):
            break
    _open(folder)
    return f"ownership of {taken} entries taken over" if taken else "all entries were ours"


def _foreign(folder: Path) -> Iterator[Path]:
    """Folders and regular files below that are not ours, folders first, as far as can be seen."""
    for entry in _entries(folder):
        status = entry.lstat()
        if stat.S_ISDIR(status.st_mode):
            if status.st_uid != os.geteuid():
                yield entry
            yield from _foreign(entry)
        elif stat.S_ISREG(status.st_mode) and status.st_uid != os.geteuid():
            yield entry


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except PermissionError:
        return []


def _archive(engine: Engine, folder: Path, foreign: list[Path], links: str) -> bytes:
    import tarfile  # only where somebody else's files were found, which is seldom

    # in a rootless engine, root inside is the user who runs it
    owner = (0, 0) if engine.info().rootless else (os.geteuid(), os.getegid())
    members = [_member(links, tarfile.DIRTYPE, 0o700, owner)]
    for number, path in enumerate(foreign):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        if stat.S_ISDIR(mode):
            members.append(_member(name, tarfile.DIRTYPE, mode | 0o700, owner))
        else:
            members.append(_member(f"{links}/{number}", tarfile.LNKTYPE, mode | 0o600, owner, to=name))
    return b"".join(members) + bytes(2 * tarfile.BLOCKSIZE)


def _member(name: str, kind: bytes, mode: int, owner: tuple[int, int], to: str = "") -> bytes:
    import tarfile

    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, stat.S_IMODE(mode), to
    info.uid, info.gid = owner
    return info.tobuf(tarfile.PAX_FORMAT)


def _remove_links(folder: Path) -> None:
    for link in _entries(folder):
        link.unlink()
    if folder.is_dir():
        folder.rmdir()


def _open(folder: Path) -> None:
    """Whatever modes the task set: the owner can read and delete what is his."""
    for entry in _entries(folder):
        status = entry.lstat()
        if status.st_uid != os.geteuid():
            continue
        if stat.S_ISDIR(status.st_mode):
            entry.chmod(stat.S_IMODE(status.st_mode) | 0o700)
            _open(entry)
        elif stat.S_ISREG(status.st_mode):
            entry.chmod(stat.S_IMODE(status.st_mode) | 0o600)
