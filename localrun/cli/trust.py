"""`localrun trust`: trust the settings file of a project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from localrun import fs
from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_json, print_out
from localrun.errors import UsageError

if TYPE_CHECKING:
    from localrun.settings.files import SettingsFile


@click.command()
@click.argument("folder", metavar="[DIR]", type=options.PATH, required=False)
@options.flag("--list", "lists", help="List the trusted settings files.")
@options.flag("--remove", "removes", help="Do not trust DIR any more.")
@options.as_json
@pass_context
def command(
    context: CliContext, /, *, folder: Path | None, lists: bool, removes: bool, as_json: bool
) -> None:
    """Trust the settings file of the project in DIR, which is the current folder by default.

    The settings of a project can then open the network, and use files outside of the project. Trust ends when
    its settings change, because a later commit may bring others. A project can never set the engine, the
    host and the token of the server, or secrets, and only mounts its own files.
    """
    if lists and (removes or folder is not None):
        raise UsageError("--list takes no folder", remedy="`localrun trust --list`")
    store = _store(context)
    if lists:
        found = [{"path": str(path), "state": state} for path, state in _entries(store)]
        if as_json:
            print_json(found)
        for one in found if not as_json else ():
            print_out(escape_control_chars(f"{one['state']:<8} {one['path']}"))
        return
    place = (folder or Path()).absolute()
    path = _remove(store, place) if removes else _trust(context, store, place, quiet=as_json)
    if as_json:
        print_json({"path": str(path), "trusted": not removes})
    else:
        print_out(escape_control_chars(f"{'not trusted any more' if removes else 'trusted'}: {path}"))


def _store(context: CliContext) -> Path:
    from localrun.settings.trust import trust_folder

    folder = trust_folder(context.environ)
    if folder is None:
        raise UsageError("cannot store trust without a home directory", remedy="set XDG_DATA_HOME")
    return folder


def _entries(store: Path) -> Iterator[tuple[Path, str]]:
    """Yield each trusted settings file and its state: trusted, changed since, or gone."""
    from localrun.settings.trust import trust_entry, trusted_paths

    for entry, path in trusted_paths(store).items():
        file = _file_at(path)
        state = "gone" if file is None else "trusted" if trust_entry(file, store) == entry else "changed"
        yield path, state


def _file_at(path: Path) -> SettingsFile | None:
    """Return the settings file of a folder or of folders above, or None if it is another or unreadable."""
    from localrun.settings.files import find_project_file

    try:
        found = find_project_file(path.parent)
    except UsageError:
        return None
    return found if found is not None and found.path.resolve() == path else None


def _trust(context: CliContext, store: Path, place: Path, *, quiet: bool) -> Path:
    from localrun.settings.file_values import FileValues
    from localrun.settings.files import find_project_file
    from localrun.settings.trust import trust_entry

    file = find_project_file(place if place.is_dir() else place.parent)
    if file is None:
        message = f"no settings file found in or above {place}"
        raise UsageError(message, remedy="expected localrun.toml, or [tool.localrun] in pyproject.toml")
    blocked = FileValues(file, context.environ).blocked.values()
    for problem in blocked if not quiet else ():
        print_out(escape_control_chars(f"allowed: {problem.where}: {problem.message}"))
    path = file.path.resolve()
    try:
        store.mkdir(0o700, parents=True, exist_ok=True)
        _forget(store, path)
        with fs.atomic_file(trust_entry(file, store)) as temp:
            temp.write_bytes(os.fsencode(path))
    except OSError as error:
        message = f"cannot write to {error.filename or store}: {error.strerror}"
        raise UsageError(message, remedy="set XDG_DATA_HOME to a folder that you can write to") from error
    return path


def _remove(store: Path, place: Path) -> Path:
    """Forget the settings file of a folder, also one that does not exist any more."""
    from localrun.settings.files import NAME, PYPROJECT

    resolved = place.resolve()
    for folder in (resolved, *resolved.parents):
        for path in (folder, folder / NAME, folder / PYPROJECT):
            if _forget(store, path):
                return path
    raise UsageError(
        f"no settings file in or above {place} is trusted", remedy="`localrun trust --list` shows them"
    )


def _forget(store: Path, path: Path) -> bool:
    """Delete the entries of a settings file, and return whether there were any."""
    from localrun.settings.trust import trusted_paths

    entries = [entry for entry, trusted in trusted_paths(store).items() if trusted == path]
    for entry in entries:
        entry.unlink(missing_ok=True)
    return bool(entries)
