"""The folders that localrun writes to: whether it can, and whether others can too."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from localrun.admission.ledger import Ledger
from localrun.errors import LocalrunError
from localrun.maintenance.doctor.check import Check, fail, ok, warn
from localrun.maintenance.doctor.host import filesystem_type
from localrun.settings import Settings

_SHARED = ("nfs", "nfs4", "cifs", "smb3", "9p", "afs")  # file systems whose locks may not hold


def check_folders(settings: Settings, ledger: Path) -> Iterator[Check]:
    """Each folder, whether it is there yet or not."""
    yield _home(settings.home)
    yield _plain("cache", settings.cache, "LOCALRUN_CACHE")
    yield _plain("logs", settings.logs, "LOCALRUN_LOGS")
    yield _ledger(ledger)


def _home(home: Path) -> Check:
    refused = _unwritable(home)
    remedy = "work in a folder of your own, or set LOCALRUN_HOME to one"
    if refused:
        return fail("home", f"the tasks' folder {home} {refused}", remedy, path=str(home))
    if not home.exists():
        return ok("home", f"{home} (made when it is first needed)", path=str(home))
    status = home.stat()
    if status.st_uid != os.geteuid():
        message = f"the tasks' folder {home} belongs to another user: their dead tasks are left alone"
        return warn("home", message, remedy, path=str(home))
    if stat.S_IMODE(status.st_mode) & stat.S_IWOTH:
        message = f"everybody may write to the tasks' folder {home}"
        return warn("home", message, f"chmod o-w {home}", path=str(home))
    kind = filesystem_type(home)
    if kind in _SHARED:
        message = (
            f"the tasks' folder {home} is on {kind}: a task may be carried twice if its locks do not hold"
        )
        return warn("home", message, "set LOCALRUN_HOME to a local disk", path=str(home), kind=kind)
    return ok("home", f"{home}", path=str(home), kind=kind)


def _plain(name: str, folder: Path, variable: str) -> Check:
    refused = _unwritable(folder)
    if refused:
        what = "second runs are as slow as first ones" if name == "cache" else "`localrun serve` cannot start"
        message, remedy = f"{folder} {refused}: {what}", f"set {variable} to a folder of your own"
        return warn(name, message, remedy, path=str(folder))
    return ok(
        name, f"{folder}" + ("" if folder.exists() else " (made when it is first needed)"), path=str(folder)
    )


def _unwritable(folder: Path) -> str:
    """Why nothing can be written in a folder, or the folder cannot be made; empty when it can."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not place.is_dir():
        return f"cannot be used: {place} is no folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"cannot be written: you may not write to {place}"
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return f"cannot be written: {place} is mounted read-only"
    return ""


def has_active_tasks(ledger: Path) -> bool:
    """Whether any task of this machine runs or waits, as far as that can be seen."""
    try:
        return bool(Ledger(ledger, lambda _: None).read())
    except LocalrunError:
        return True


def _ledger(path: Path) -> Check:
    damage: list[str] = []
    ledger = Ledger(path, damage.append)
    try:
        dead, living = ledger.stale_entries(), ledger.read()
    except LocalrunError as error:
        return fail("ledger", error.message, error.remedy, path=str(path))
    refused = _unwritable(path.parent)
    if refused:
        return fail(
            "ledger",
            f"the reservations' folder {path.parent} {refused}",
            f"make it writable, or remove {path.parent}",
            path=str(path),
        )
    if damage:
        return warn("ledger", damage[0], "nothing: the next task makes it anew", path=str(path))
    count = f"{len(living)} tasks run or wait" if len(living) != 1 else "1 task runs or waits"
    if dead:
        entries = "1 entry of a process" if len(dead) == 1 else f"{len(dead)} entries of processes"
        message = f"{path}: {count}; {entries} that died"
        return warn(
            "ledger", message, "nothing: the next task takes them out", path=str(path), dead=len(dead)
        )
    return ok("ledger", f"{path}: {count}", path=str(path), living=len(living))
