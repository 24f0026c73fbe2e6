"""Checks the values of a settings file, and makes its paths absolute.

The file of a project is not trusted. A cloned repository must not choose the engine, read secrets, open the
server to others, or give containers access to files outside of the repository. Unless the user trusts the
file, it cannot open the network either.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from localrun.errors import Problem
from localrun.settings.files import SettingsFile, user_file
from localrun.settings.model import FIELDS, PATHS
from localrun.settings.options import LOCAL_PARSERS, MOUNT, PARSERS, SERVER_PARSERS, Parser
from localrun.settings.trust import is_trusted
from localrun.suggestions import did_you_mean

Key = tuple[str, ...]

_LIMITS = ("cpus", "memory", "gpus", "timeout")
_SECTIONS: dict[str, Mapping[str, Parser]] = {
    "limits": {name: PARSERS[name] for name in _LIMITS},
    "server": SERVER_PARSERS,
}
_KNOWN = (*FIELDS, *PARSERS, *LOCAL_PARSERS, *_SECTIONS, "inputs")
_TABLES = ("build_args", "build_contexts", "build_secrets")  # merged by key
_ENGINE = frozenset({"docker_config", "container_host", "runtime_dir"})
_REFUSED = {("server", name) for name in ("token", "host", "names", "allow_unauthenticated", "clusters")}


class FileValues:
    """The values of a file by key, e.g. `("timeout",)` or `("server", "port")`.

    `blocked` are values that may only be used once the user trusts the file.
    """

    def __init__(self, file: SettingsFile, environ: Mapping[str, str]) -> None:
        self.values: dict[Key, Any] = {}
        self._places: dict[Key, Problem] = {}
        self.blocked: dict[Key, Problem] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._environ = environ
        self._trusted: bool | None = None
        for written, value in file.table.items():
            self._read(_plain(written), (written,), value)

    def place(self, key: Key) -> Problem:
        """Return an empty problem at the place of a value."""
        return self._places[key]

    def _read(self, name: str, at: Key, value: Any) -> None:
        if name in _SECTIONS or name == "inputs":
            self._read_section(name, at, value)
        elif name in FIELDS:
            self._add((name,), at, value)
        elif name in PARSERS or name in LOCAL_PARSERS:
            found = self._parsed(at, value, {**PARSERS, **LOCAL_PARSERS}[name])
            if isinstance(found, dict):
                for key, item in found.items():
                    self._add((name, key), (*at, key), item)
            elif found is not None:
                self._add((name,), at, found)
        else:
            self.problems.append(self._file.problem(at, "unknown setting", _hint(name, _KNOWN)))

    def _read_section(self, name: str, at: Key, table: Any) -> None:
        if not isinstance(table, dict):
            self.problems.append(self._file.problem(at, f"expected a table, found {table!r}"))
            return
        for written, value in table.items():
            inner = (*at, written)
            if name == "inputs":
                self._add((name, written), inner, value)
                continue
            key, known = _plain(written), _SECTIONS[name]
            if key not in known:
                self.problems.append(self._file.problem(inner, "unknown setting", _hint(key, known)))
                continue
            found = self._parsed(inner, value, known[key])
            if found is not None:
                self._add((key,) if name == "limits" else (name, key), inner, found)

    def _parsed(self, at: Key, value: Any, parse: Parser) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            self.problems.append(self._file.problem(at, str(error)))
            return None

    def _add(self, key: Key, at: Key, value: Any) -> None:
        if key in self.values:
            self.problems.append(self._file.problem(at, "set twice", "remove one of them"))
            return
        if self._file.is_project and _is_refused(key):
            place = user_file(self._environ) or "the settings file of the user"
            remedy = f"write it into {place}, or pass it as an option or a variable"
            self.problems.append(self._file.problem(at, "not allowed in the settings of a project", remedy))
            return
        self.values[key] = self._with_paths(key, at, value)
        self._places[key] = self._file.problem(at, "")
        if key == ("network",) and value:
            self._need_trust(key, at, "the settings of this project open the network")

    def _with_paths(self, key: Key, at: Key, value: Any) -> Any:
        """Return a value with absolute paths, which start at the folder of the file."""
        name = key[0]
        if name in PATHS or name in ("dockerfile", "context"):
            return self._path(key, at, str(value))
        if key == ("server", "bundles"):
            return [self._path(key, at, path) for path in value]
        if name == "mounts":
            return [self._mount(at, text) for text in value]
        if name == "build_secrets" and value.startswith("src="):
            return f"src={self._path(key, at, value[4:])}"
        return self._input(key, at, value) if name == "inputs" else value

    def _input(self, key: Key, at: Key, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("@") and not value.startswith("@@"):
            return f"@{self._path(key, at, value[1:])}"
        if isinstance(value, list):
            return [self._input(key, at, item) for item in value]
        if isinstance(value, dict):
            return {name: self._input(key, at, item) for name, item in value.items()}
        return value

    def _mount(self, at: Key, text: str) -> str:
        found = MOUNT.fullmatch(text)
        assert found is not None  # as the parser checks
        source, rest = found["source"], text[found.end("source") :]
        path = self._absolute(source)
        if self._file.is_project and not self._is_inside(path):
            message = f"{source} is outside of {self._file.folder}; a project can only mount its own files"
            remedy = f"pass it as an option: `--mount {path}{rest}`"
            self.problems.append(self._file.problem(at, message, remedy))
        return f"{path}{rest}"

    def _path(self, key: Key, at: Key, text: str) -> str:
        path = self._absolute(text)
        if self._file.is_project and not self._is_inside(path):
            self._need_trust(key, at, f"{text} is outside of {self._file.folder}")
        return path

    def _absolute(self, text: str) -> str:
        return os.path.join(self._file.folder, os.path.expanduser(text))  # noqa: PTH111, PTH118 - keeps ~unknown

    def _is_inside(self, path: str) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._file.folder))

    def _need_trust(self, key: Key, at: Key, message: str) -> None:
        if not self._file.is_project:
            return
        if self._trusted is None:
            self._trusted = is_trusted(self._file, self._environ)
        if not self._trusted:
            remedy = f"if you trust the project: `localrun trust {self._file.folder}`"
            self.blocked[key] = self._file.problem(at, message, remedy)


def _plain(written: str) -> str:
    return written.replace("-", "_")


def _is_refused(key: Key) -> bool:
    name = key[0]
    return name.startswith("docker_") or name in _ENGINE or name == "build_secrets" or key in _REFUSED


def _hint(name: str, known: Collection[str]) -> str:
    if name in SERVER_PARSERS and "server" in known:
        return "write it into the table [server]"
    return did_you_mean(name, known) or "`localrun doctor` shows the settings that are in effect"
