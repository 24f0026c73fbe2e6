"""The ledgers of all users of a machine.

Each user writes to a folder of their own only, so no user can lock, replace or damage the ledger of
another. What another user's ledger says counts only if that user could have written it: its folder and file
must belong to the user, and an entry counts while its process is alive and runs as the user.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG

from localrun.admission.entry import LedgerEntry, parse_entries, runs_as

MAX_SIZE = 16 * 1024**2  # bytes; some 40,000 entries; localrun writes no larger file
_FOLDER = re.compile(r"localrun-(\d{1,10})(?:\.[0-9a-f]{16})?")
_OLD_FOLDER = "localrun-ledger"  # of localrun 0.1.0, shared by all users
_WRITABLE_BY_OTHERS = 0o022


def base_folder() -> Path:
    """Return the folder of all ledgers, in memory: a reboot deletes it, and a full disk does not matter."""
    memory = Path("/dev/shm")  # noqa: S108 - folders in it are checked when they are opened
    return memory if memory.is_dir() else Path("/tmp")  # noqa: S108


def machine_ledger_path(engine: str = "local") -> Path:
    """Return the path of the user's ledger on this machine.

    `engine` distinguishes machines when the containers run on a remote one.
    """
    name = "".join(letter if letter.isalnum() else "-" for letter in engine)[-80:]
    return _own_folder(base_folder(), os.geteuid()) / f"{name}.json"


def is_machine_ledger(path: Path) -> bool:
    """Return whether a ledger is one of those that all users of the machine count."""
    return path.parent.parent == base_folder() and _FOLDER.fullmatch(path.parent.name) is not None


def _own_folder(base: Path, uid: int) -> Path:
    """Return the user's folder; one with a random name if another user has taken the usual one."""
    usual = base / f"localrun-{uid}"
    if not os.path.lexists(usual) or _belongs_to(usual, uid):
        return usual
    for path in sorted(base.glob(f"localrun-{uid}.*")):
        if _FOLDER.fullmatch(path.name) and _belongs_to(path, uid):
            return path
    made = base / f"localrun-{uid}.{os.urandom(8).hex()}"
    made.mkdir(mode=0o755)
    return made


def _belongs_to(folder: Path, uid: int) -> bool:
    """Return whether only this user can write to a folder, which is not a link."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return (
        S_ISDIR(status.st_mode) and status.st_uid == uid and not S_IMODE(status.st_mode) & _WRITABLE_BY_OTHERS
    )


def read_file(path: str | Path, folder: int | None = None) -> tuple[int, bytes]:
    """Return the owner and the content of a regular file; no content for anything else.

    Raises `OSError`. A link is not followed, and a pipe does not block.
    """
    stream = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        status = os.fstat(stream)
        size = status.st_size if S_ISREG(status.st_mode) and status.st_size <= MAX_SIZE else 0
        return status.st_uid, os.read(stream, size)
    finally:
        os.close(stream)


def entries_of_others(own: Path) -> list[LedgerEntry]:
    """Return the live entries of all other ledgers of the machine for the same engine."""
    found = []
    for path, uid in _other_ledgers(own):
        with suppress(OSError, ValueError, RecursionError):  # the file of another user may be damaged
            owner, text = read_file(path)
            if uid is None or owner == uid:
                entries = parse_entries(text).values() if text else ()
                found += [entry.replace(uid=owner) for entry in entries if runs_as(entry.owner, owner)]
    return found


def _other_ledgers(own: Path) -> Iterator[tuple[Path, int | None]]:
    """Yield the paths of other ledgers, each with the user that must own it (None: any, in 0.1.0)."""
    base = own.parent.parent
    with os.scandir(base) as items:
        names = [item.name for item in items]
    for name in names:
        if name == _OLD_FOLDER:
            yield base / name / own.name, None
        elif name != own.parent.name and (found := _FOLDER.fullmatch(name)):
            uid = int(found[1])
            if _belongs_to(base / name, uid):
                yield base / name / own.name, uid
