"""Finds and reads settings files: `localrun.toml`, or the table `[tool.localrun]` of `pyproject.toml`."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from localrun.errors import Problem, UsageError

NAME = "localrun.toml"
PYPROJECT = "pyproject.toml"
# a cheap check: most projects have a pyproject.toml without settings, and reading TOML takes milliseconds
_MENTION = rb"(?m)^\s*localrun\b|\btool\s*\.\s*[\"']?localrun\b"
_MAX_BYTES = 1024**2
_HEADER = r"\s*\[\[?\s*([^\]#]+?)\s*\]\]?\s*(?:#.*)?$"
_KEY = r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*="
_PART = r"\"([^\"]*)\"|'([^']*)'|([\w-]+)"
_PLACE = r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)"


class SettingsFile(msgspec.Struct, frozen=True):
    """The settings in a file, and the lines of their keys by path, e.g. `("server", "port")`."""

    path: Path
    is_project: bool
    table: dict[str, Any]
    lines: dict[tuple[str, ...], int]

    @property
    def folder(self) -> Path:
        return self.path.parent

    def line(self, keys: tuple[str, ...]) -> int:
        """Return the line of a key, or of the nearest table that has one; 0 if none is known."""
        found = (self.lines.get(keys[:length]) for length in range(len(keys), 0, -1))
        return next((line for line in found if line), 0)

    def problem(self, keys: tuple[str, ...], message: str, remedy: str = "") -> Problem:
        """Return a problem with a key."""
        line = self.line(keys)
        return Problem(".".join(keys), message, remedy, str(self.path), line, 1 if line else 0)


def user_folder(environ: Mapping[str, str], variable: str, default: str) -> Path | None:
    """Return localrun's folder below a folder of the XDG standard; None for a user without a home."""
    given = environ.get(variable, "")
    if given.startswith("/"):
        return Path(given, "localrun")
    home = environ.get("HOME", "")
    return Path(home, default, "localrun") if home.startswith("/") else None


def user_file(environ: Mapping[str, str]) -> Path | None:
    """Return the path of the user's settings file, which need not exist."""
    folder = user_folder(environ, "XDG_CONFIG_HOME", ".config")
    return folder / NAME if folder else None


def find_user_file(environ: Mapping[str, str]) -> SettingsFile | None:
    """Read the user's settings file, if there is one. Raises `UsageError` as `find_project_file`."""
    path = user_file(environ)
    return _read(path, is_project=False) if path is not None and _exists(path) else None


def find_project_file(folder: Path) -> SettingsFile | None:
    """Read the settings file of the nearest folder that has one, from `folder` upwards.

    In one folder, `localrun.toml` comes before `pyproject.toml`. Raises `UsageError` with the line and column
    of a mistake in the file.
    """
    for place in (folder, *folder.parents):
        if _exists(place / NAME):
            return _read(place / NAME, is_project=True)
        pyproject = place / PYPROJECT
        if _exists(pyproject, regular=True) and re.search(_MENTION, _bytes(pyproject)):
            found = _read(pyproject, is_project=True, inside=("tool", "localrun"))
            if found is not None:
                return found
    return None


def _exists(path: Path, *, regular: bool = False) -> bool:
    try:
        # for every parent folder of each command; a link to nothing is reported when it is read
        mode = (os.stat if regular else os.lstat)(path).st_mode
    except (OSError, ValueError):
        return False
    return not regular or stat.S_ISREG(mode)


def _read(path: Path, *, is_project: bool, inside: tuple[str, ...] = ()) -> SettingsFile | None:
    """Return the table `inside` of a file; None if it has no such table."""
    import tomllib

    try:
        text = _bytes(path).decode("utf-8-sig")
        found: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, line, column = _explained(error, text)
        raise _unreadable(path, f"invalid TOML: {message}", line, column) from None
    except UnicodeDecodeError:
        raise _unreadable(path, "the file is not UTF-8") from None
    except RecursionError:
        raise _unreadable(path, "invalid TOML: nested too deeply") from None
    for key in inside:
        found = found.get(key) if isinstance(found, dict) else None
        if found is None:
            return None
    if not isinstance(found, dict):
        raise _unreadable(path, f"{'.'.join(inside)}: expected a table, found {found!r}")
    return SettingsFile(path, is_project, found, _lines(text, inside))


def _explained(error: ValueError, text: str) -> tuple[str, int, int]:
    """Return the message of the parser, and its line and column."""
    found = re.fullmatch(_PLACE, str(error))
    message, line, column = found.groups() if found else (str(error), None, None)
    last = text.count("\n") + 1
    return f"{message[:1].lower()}{message[1:]}", int(line or last), int(column or 1)


def _bytes(path: Path) -> bytes:
    """Return the content of a file; a project may come with a pipe or a device of this name."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _unreadable(path, "not a regular file")
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, f"cannot read the file: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise _unreadable(path, f"larger than {_MAX_BYTES} bytes")
    return data


def _unreadable(path: Path, message: str, line: int = 0, column: int = 0) -> UsageError:
    problem = Problem("", message, file=str(path), line=line, column=column)
    return UsageError("cannot read the settings file", remedy="correct the file", problems=[problem])


def _lines(text: str, inside: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    """Return the line of each key and table by its path below the table `inside`, where it can be found.

    The parser of the standard library does not report lines.
    """
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(_HEADER, line)
        key = None if header else re.match(_KEY, line)
        if header:
            table = _parts(header[1])
        path = table if header else (*table, *_parts(key[1])) if key else ()
        if path[: len(inside)] == inside:
            found.setdefault(path[len(inside) :], number)
    return found


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part[1] or part[2] or part[3] for part in re.finditer(_PART, text))
