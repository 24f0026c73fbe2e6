"""Checks of the folders that localrun writes to."""

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
from localrun.units import format_count

_SHARED = ("nfs", "nfs4", "cifs", "smb3", "9p", "afs")  # file systems on which locks are unreliable


def check_folders(settings: Settings, ledger: Path) -> Iterator[Check]:
    """Yield a check of each folder, also of one that does not exist yet."""
    yield _home(settings.home)
    yield _folder("cache", settings.cache, "LOCALRUN_CACHE")
    yield _folder("logs", settings.logs, "LOCALRUN_LOGS")
    yield _ledger(ledger)


def _home(home: Path) -> Check:
    problem = _write_problem(home)
    remedy = "run localrun in a folder of your own, or set LOCALRUN_HOME to one"
    if problem:
        return fail("home", f"{home} {problem}", remedy, path=str(home))
    if not home.exists():
        return ok("home", f"{home} (created when needed)", path=str(home))
    status = home.stat()
    if status.st_uid != os.geteuid():
        message = f"{home} belongs to another user, so orphaned tasks in it are not cleaned up"
        return warn("home", message, remedy, path=str(home))
    if stat.S_IMODE(status.st_mode) & stat.S_IWOTH:
        message = f"{home} is writable by all users"
        return warn("home", message, f"chmod o-w {home}", path=str(home))
    kind = filesystem_type(home)
    if kind in _SHARED:
        message = f"{home} is on {kind}, where locks are unreliable: two processes may run the same task"
        return warn("home", message, "set LOCALRUN_HOME to a local disk", path=str(home), kind=kind)
    return ok("home", f"{home}", path=str(home), kind=kind)


def _folder(name: str, folder: Path, variable: str) -> Check:
    problem = _write_problem(folder)
    if problem:
        effect = "repeated runs are not faster" if name == "cache" else "`localrun serve` cannot start"
        remedy = f"set {variable} to a folder of your own"
        return warn(name, f"{folder} {problem}; {effect}", remedy, path=str(folder))
    return ok(name, f"{folder}" + ("" if folder.exists() else " (created when needed)"), path=str(folder))


def _write_problem(folder: Path) -> str:
    """Return why a folder cannot be created or written to, or an empty string."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        return f"cannot be used: {existing} is not a folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"is not writable: no permission to write to {existing}"
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        return f"is not writable: {existing} is mounted read-only"
    return ""


def has_active_tasks(ledger: Path) -> bool:
    """Return whether a task runs or waits on this machine; True if the ledger cannot be read."""
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
    problem = _write_problem(path.parent)
    if problem:
        remedy = f"make {path.parent} writable, or remove it"
        return fail("ledger", f"{path.parent} {problem}", remedy, path=str(path))
    if damage:
        return warn("ledger", damage[0], "nothing to do: the next task creates it again", path=str(path))
    message = f"{path}: {format_count(len(living), 'active task')}"
    if dead:
        message += f", {len(dead)} stale {'entry' if len(dead) == 1 else 'entries'} of dead processes"
        remedy = "nothing to do: the next task removes them"
        return warn("ledger", message, remedy, path=str(path), dead=len(dead))
    return ok("ledger", message, path=str(path), living=len(living))
