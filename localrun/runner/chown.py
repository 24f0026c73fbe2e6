"""Change the owner of a task's outputs to the current user, with the engine's help.

A task that runs as root leaves files that an ordinary member of the docker group can neither read nor delete.
An archive that is unpacked into the output folder of the stopped container can change that without a helper
image. A folder entry of a tar sets the owner of an existing folder. A hard link entry sets the owner of the
file it links to. No content is transferred.
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
    """Make this user own everything in `folder`, mounted at `target`, and return how that was done."""
    if os.geteuid() == 0:
        return "read as root"
    links = f".localrun-{uuid.uuid4().hex}"
    changed = 0
    for _ in range(_MAX_DEPTH):  # the content of a folder that was not accessible is found in the next round
        foreign = list(_foreign(folder))
        if not foreign:
            break
        engine.copy_in(handle, target, [_archive(engine, folder, foreign, links)])
        _remove_links(folder / links)
        changed += len(foreign)
        if foreign == list(_foreign(folder)):
            break
    _make_accessible(folder)
    return f"changed the owner of {changed} entries" if changed else "already owned by this user"


def _foreign(folder: Path) -> Iterator[Path]:
    """Yield the visible folders and regular files of other users, folders before their content."""
    for entry in _entries(folder):
        status = entry.lstat()
        is_folder = stat.S_ISDIR(status.st_mode)
        if status.st_uid != os.geteuid() and (is_folder or stat.S_ISREG(status.st_mode)):
            yield entry
        if is_folder:
            yield from _foreign(entry)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except PermissionError:
        return []


def _archive(engine: Engine, folder: Path, foreign: list[Path], links: str) -> bytes:
    import tarfile  # rarely needed

    # in a rootless engine, root in the container is the user that runs the engine
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


def _make_accessible(folder: Path) -> None:
    """Give the owner full access, whatever modes the task set."""
    for entry in _entries(folder):
        status = entry.lstat()
        if status.st_uid != os.geteuid():
            continue
        if stat.S_ISDIR(status.st_mode):
            entry.chmod(stat.S_IMODE(status.st_mode) | 0o700)
            _make_accessible(entry)
        elif stat.S_ISREG(status.st_mode):
            entry.chmod(stat.S_IMODE(status.st_mode) | 0o600)
